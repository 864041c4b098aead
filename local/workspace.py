"""A place of one's own on engines that are shared: fresh topics, database, index names and bucket, and their end.

In: the settings of running engines. Out: the same settings with fresh names in them.
Must not know who works there: tests and measurements do.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache

import httpx
import psycopg
from confluent_kafka.admin import AdminClient
from psycopg import sql

from runtime.kafka import apply_topics
from runtime.objects import ObjectStore
from runtime.postgres import apply_schema, schema_version
from runtime.registry import register_all
from runtime.settings import Settings

TEMPLATE_LOCK = 7_260_002  # any number, the same for everyone who makes the template
TEST_PARTITIONS = 2
ADMIN_DATABASE = "postgres"
ADMIN_TIMEOUT_S = 30.0

# Erased text goes within seconds, so that a test can watch it go.
QUICK_ERASURE = {
    "transcripts": {
        "segment.ms": "5000",
        "max.compaction.lag.ms": "10000",
        "min.compaction.lag.ms": "0",
        "delete.retention.ms": "5000",
        "min.cleanable.dirty.ratio": "0.01",
        "file.delete.delay.ms": "1000",
    }
}


@contextmanager
def fresh_workspace(engines: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Settings of a new workspace on the engines that the given settings name; its end takes everything away."""
    values = _fresh_names(engines)
    settings = Settings.read(values)
    admin_dsn = with_database(engines["PALIMPSEST_POSTGRES_DSN"], ADMIN_DATABASE)
    _register_once(settings.registry_url)
    apply_topics(settings.kafka, QUICK_ERASURE)
    _create_database(admin_dsn, database_of(settings.postgres_dsn))
    ObjectStore(settings.objects).create_bucket()
    try:
        yield values
    finally:
        _remove(settings, admin_dsn)


@cache
def _register_once(registry_url: str) -> None:
    """Schemas have no prefix: all workspaces of a registry share them."""
    register_all(registry_url)


def _fresh_names(engines: Mapping[str, str]) -> dict[str, str]:
    name = f"t{secrets.token_hex(5)}"
    return {
        **engines,
        "PALIMPSEST_PARTITIONS": str(TEST_PARTITIONS),
        "PALIMPSEST_TOPIC_PREFIX": f"{name}.",
        "PALIMPSEST_INDEX_PREFIX": f"{name}-",
        "PALIMPSEST_S3_BUCKET": name,
        "PALIMPSEST_POSTGRES_DSN": with_database(engines["PALIMPSEST_POSTGRES_DSN"], name),
        # Any free port: many processes of many tests run side by side.
        "PALIMPSEST_HEALTH_PORT": "0",
        "PALIMPSEST_API_PORT": "0",
    }


def database_of(dsn: str) -> str:
    """The database that a DSN of the form postgresql://…/NAME names."""
    return dsn.rpartition("/")[2]


def with_database(dsn: str, database: str) -> str:
    """The same server and user, another database."""
    return dsn.rpartition("/")[0] + "/" + database


def _create_database(admin_dsn: str, name: str) -> None:
    """Copy the template of this version of the tables, which the first caller makes."""
    template = f"template_{schema_version()}"
    with psycopg.connect(admin_dsn, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (TEMPLATE_LOCK,))
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (template,)).fetchone()
        if known is None:
            half = f"{template}_half"
            connection.execute(_named("DROP DATABASE IF EXISTS {} WITH (FORCE)", half))
            connection.execute(_named("CREATE DATABASE {}", half))
            apply_schema(with_database(admin_dsn, half))
            connection.execute(_named("ALTER DATABASE {} RENAME TO {}", half, template))
        # Inside the lock: PostgreSQL refuses to copy a database that is being copied.
        connection.execute(_named("CREATE DATABASE {} TEMPLATE {}", name, template))


def _named(text: str, *names: str) -> sql.Composed:
    return sql.SQL(text).format(*map(sql.Identifier, names))


def _remove(settings: Settings, admin_dsn: str) -> None:
    """Take everything away again; a process of a test that still runs may find it gone."""
    with psycopg.connect(admin_dsn, autocommit=True) as connection:
        connection.execute(_named("DROP DATABASE IF EXISTS {} WITH (FORCE)", database_of(settings.postgres_dsn)))
    _remove_topics(settings)
    _remove_indexes(settings)
    store = ObjectStore(settings.objects)
    store.delete(store.keys(""))


def _remove_topics(settings: Settings) -> None:
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap})
    there = admin.list_topics(timeout=ADMIN_TIMEOUT_S).topics
    ours = [topic for topic in there if topic.startswith(settings.kafka.topic_prefix)]
    for gone in admin.delete_topics(ours).values() if ours else ():
        gone.result(ADMIN_TIMEOUT_S)


def _remove_indexes(settings: Settings) -> None:
    with httpx.Client(base_url=settings.opensearch.url, timeout=ADMIN_TIMEOUT_S) as client:
        rows = client.get(f"/_cat/indices/{settings.opensearch.index_prefix}*?format=json").raise_for_status().json()
        for row in rows:
            client.delete(f"/{row['index']}").raise_for_status()
