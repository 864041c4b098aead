"""The engines of the local stack, one file each; this table is all that others need."""

from __future__ import annotations

from types import MappingProxyType

from local.engines.kafka import KAFKA
from local.engines.opensearch import OPENSEARCH
from local.engines.postgres import POSTGRES
from local.engines.registry import REGISTRY
from local.engines.s3 import S3

# The slowest first: they start in parallel and share few cores.
ENGINES = MappingProxyType({engine.name: engine for engine in (OPENSEARCH, REGISTRY, KAFKA, POSTGRES, S3)})
