"""What our processes find made: database and tables, topics, schemas, bucket, models, and one key to begin with.

In: the stack's settings. Out: the same state however often it is called. Must not know how engines are started.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import psycopg
from psycopg import sql

from local.engines import postgres
from local.engines.program import Site
from local.models import ensure_models
from local.passwords import write_private
from runtime.kafka import apply_topics
from runtime.objects import ObjectStore
from runtime.postgres import apply_schema
from runtime.registry import register_all
from runtime.settings import Settings
from schemas.codec import record_names, schema_text

LOCAL_TENANT = "local"
LOCAL_KEY_NAME = "made by palimpsest up"

# Erased text leaves the disk within minutes, not days, so that it can be watched.
LOCAL_ERASURE = MappingProxyType(
    {
        "transcripts": {
            "segment.ms": "60000",
            "max.compaction.lag.ms": "60000",
            "min.compaction.lag.ms": "0",
            "delete.retention.ms": "60000",
            "min.cleanable.dirty.ratio": "0.01",
            "file.delete.delay.ms": "1000",
        }
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One thing to be made; `needs` are engines and other steps."""

    name: str
    needs: tuple[str, ...]
    make: Callable[[Site, Mapping[str, str]], None]


def _topics(_site: Site, shared: Mapping[str, str]) -> None:
    apply_topics(Settings.read(shared).kafka, LOCAL_ERASURE)


def _schemas(site: Site, shared: Mapping[str, str]) -> None:
    """Register the schemas, unless exactly these were: comparing each with all its versions takes seconds."""
    registered = site.layout.data / "registry" / "registered"
    wanted = hashlib.sha256("".join(map(schema_text, record_names())).encode()).hexdigest()
    if not registered.exists() or registered.read_text() != wanted:
        register_all(Settings.read(shared).registry_url)
        registered.write_text(wanted)


def _tables(site: Site, shared: Mapping[str, str]) -> None:
    dsn = Settings.read(shared).postgres_dsn
    ensure_database(postgres.dsn(site), dsn.rpartition("/")[2])
    apply_schema(dsn)


def ensure_database(admin_dsn: str, name: str) -> None:
    """Make an empty database where there is none of that name."""
    with psycopg.connect(admin_dsn, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def _bucket(_site: Site, shared: Mapping[str, str]) -> None:
    ObjectStore(Settings.read(shared).objects).create_bucket()


def _models(site: Site, _shared: Mapping[str, str]) -> None:
    ensure_models(site.layout.models)


def _key(site: Site, shared: Mapping[str, str]) -> None:
    """The key that the command line finds; only its hash is in the database, so it is kept beside the data."""
    from api.accounts.keys import create_key

    if not site.layout.local_key.exists():
        key = create_key(Settings.read(shared).postgres_dsn, LOCAL_TENANT, LOCAL_KEY_NAME)
        write_private(site.layout.local_key, key + "\n")


STEPS = (
    Step(name="models", needs=(), make=_models),
    Step(name="bucket", needs=("s3",), make=_bucket),
    Step(name="tables", needs=("postgres",), make=_tables),
    Step(name="key", needs=("tables",), make=_key),
    Step(name="topics", needs=("kafka",), make=_topics),
    Step(name="schemas", needs=("registry",), make=_schemas),
)
