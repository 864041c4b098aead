"""What a version of a view holds, as two numbers: how many rows or documents, and a hash of their content.

In: a connection or an engine, and a place. Out: `Content`, the same for the same rows in whatever order they were
written. Versions of documents, and when a row was written, are no content.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from psycopg import sql

from projections.rebuilding.indexes import SEARCH
from projections.rebuilding.switching import LIVE_SCHEMA
from projections.rebuilding.versions import BY_NAME, State, Version
from projections.registry import Projection
from projections.search.index import index_of
from runtime.opensearch import SearchEngine
from runtime.postgres import Connection

_PAGE_DOCUMENTS = 1_000
_BITS_64 = (1 << 64) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Equal content has equal numbers."""

    count: int
    hash: int


def content(conn: Connection, engine: SearchEngine, version: Version) -> Content:
    """What a version holds, wherever it lies."""
    if version.projection == SEARCH:
        return content_of_index(engine, index_of(version.version))
    schema = LIVE_SCHEMA if version.state is State.LIVE else version.schema
    return content_of_tables(conn, BY_NAME[version.projection], schema)


def content_of_tables(conn: Connection, projection: Projection, schema: str) -> Content:
    """Reads every row of the view's tables in this schema."""
    count = total = 0
    for table in projection.tables:
        row = conn.execute(
            sql.SQL("SELECT count(*), coalesce(sum(hashtextextended({} || t::text, 0)), 0) FROM {} AS t").format(
                sql.Literal(f"{table}:"), sql.Identifier(schema, table)
            )
        ).fetchone()
        assert row is not None
        count, total = count + int(row[0]), total + int(row[1])
    return Content(count=count, hash=total & _BITS_64)


def content_of_index(engine: SearchEngine, index: str) -> Content:
    """Reads every document that can be found."""
    count = total = 0
    for document in _documents(engine, index):
        digest = hashlib.sha256(msgspec.json.encode(document, order="deterministic")).digest()
        count, total = count + 1, total + int.from_bytes(digest[:8], "big")
    return Content(count=count, hash=total & _BITS_64)


def _documents(engine: SearchEngine, index: str) -> Iterator[Any]:
    body: dict[str, Any] = {
        "size": _PAGE_DOCUMENTS,
        "query": {"term": {"deleted": False}},
        "sort": [{"job_id": "asc"}, {"segment_id": "asc"}],
    }
    while hits := engine.search(index, body)["hits"]["hits"]:
        yield from (hit["_source"] for hit in hits)
        body["search_after"] = hits[-1]["sort"]
