"""`palimpsest topics|schemas|schema`: what must exist before a process of ours can start.

In: settings. Out: topics, registered schemas and tables, created where missing and never changed in place.
Must not know what a record means.
"""

import argparse
import os
import sys

from cli.connection import operator_settings
from cli.errors import CommandError
from runtime.kafka import TopicMismatch, apply_topics
from runtime.postgres import apply_schema
from runtime.registry import IncompatibleSchema, Registry, register_all
from schemas.codec import record_names, schema_text


def run_topics(_arguments: argparse.Namespace) -> int:
    """Raises CommandError where a topic has another shape."""
    try:
        created = apply_topics(operator_settings(os.environ).kafka)
    except TopicMismatch as error:
        raise CommandError(f"{error}; partition counts are fixed when a topic is created.") from error
    print("\n".join(f"created {name}" for name in created) or "all topics are there")
    return 0


def run_check(_arguments: argparse.Namespace) -> int:
    """1 where a schema may not be registered."""
    registry = Registry(operator_settings(os.environ).registry_url, wait=False)
    reasons = [reason for name in record_names() for reason in registry.check(name, schema_text(name))]
    for reason in reasons:
        sys.stderr.write(f"{reason}\n")
    if not reasons:
        print(f"{len(record_names())} schemas are compatible with every registered version")
    return 1 if reasons else 0


def run_register(_arguments: argparse.Namespace) -> int:
    """Raises CommandError, one line a reason, before anything incompatible is written."""
    try:
        ids = register_all(operator_settings(os.environ).registry_url)
    except IncompatibleSchema as error:
        raise CommandError(f"nothing was registered:\n{error}") from error
    print("\n".join(f"{schema_id:>5}  {name}" for name, schema_id in ids.items()))
    return 0


def run_tables(_arguments: argparse.Namespace) -> int:
    """Prints the version that processes check for."""
    print(f"tables of version {apply_schema(operator_settings(os.environ).postgres_dsn)} are there")
    return 0
