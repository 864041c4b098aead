"""The log and the views of a workspace, as tests write the one and look at the others."""

import contextlib
from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Any

import psycopg
from opensearchpy.exceptions import NotFoundError

from projections.registry import PROJECTIONS
from projections.search.index import ALIAS
from runtime.kafka import EventProducer, Outgoing, outgoing
from runtime.opensearch import SearchEngine
from runtime.registry import Registry
from runtime.settings import Settings
from schemas.codec import Codec
from schemas.identity import partition_for
from schemas.records import TranscriptRecord
from schemas.topics import TRANSCRIPTS

Views = dict[str, list[tuple[Any, ...]]]
MAX_DOCUMENTS = 10_000


class Log:
    """The topic `transcripts` of a workspace."""

    def __init__(self, settings: Settings) -> None:
        self._partitions = settings.kafka.partitions
        self._registry = Registry(settings.registry_url)
        self._codec = Codec(self._registry)
        self._producer = EventProducer(settings.kafka)

    def close(self) -> None:
        """Closes the connections."""
        self._registry.close()

    def write(self, facts: Iterable[TranscriptRecord]) -> None:
        """Appends facts as the assembler does."""
        for fact in facts:
            self._producer.send(outgoing(fact, TRANSCRIPTS, self._codec, self._partitions, "test"))
        self._producer.flush()

    def write_bytes(self, job_id: str, key: bytes, value: bytes | None) -> None:
        """Appends any bytes, or a tombstone, to the partition of a job."""
        partition = partition_for(job_id.encode(), self._partitions)
        self._producer.send(Outgoing(topic=TRANSCRIPTS, partition=partition, key=key, value=value))
        self._producer.flush()


def views(dsn: str) -> Views:
    """Every row of every view, but not what is still to be indexed."""
    with psycopg.connect(dsn) as conn:
        return {
            table: sorted(conn.execute(f"SELECT * FROM {table}".encode()).fetchall(), key=repr)
            for projection in PROJECTIONS
            for table in projection.tables
            if table != "search_pending"
        }


def count(dsn: str, query: str) -> int:
    """The number that a query answers."""
    with psycopg.connect(dsn) as conn:
        row = conn.execute(query.encode()).fetchone()
        return int(row[0]) if row else 0


def documents(settings: Settings) -> Mapping[str, Any]:
    """Content of each visible document, by id; none while there is no index.

    Versions are left out: they say what was known when a document was written, for the engine alone to compare.
    """
    body = {"size": MAX_DOCUMENTS, "query": {"term": {"deleted": False}}}
    with closing(SearchEngine(settings.opensearch)) as engine, contextlib.suppress(NotFoundError):
        engine.refresh(ALIAS)
        hits = engine.search(ALIAS, body)["hits"]["hits"]
        return {hit["_id"]: hit["_source"] for hit in hits}
    return {}


def indexed(dsn: str, segments: int) -> bool:
    """Whether so many segments are in the view and none waits for the index."""
    there = count(dsn, "SELECT count(*) FROM transcript_segment")
    return there >= segments and count(dsn, "SELECT count(*) FROM search_pending") == 0
