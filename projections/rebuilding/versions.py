"""Versions of views: which there are, where their tables lie, and what is remembered of them.

In: a connection. Out: rows of `view_versions`, names of schemas and of offsets. Knows no Kafka and no search engine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
from psycopg import sql
from psycopg.rows import dict_row

from projections.registry import PROJECTIONS, Projection
from runtime.postgres import Connection, load_sql
from schemas.topics import TRANSCRIPTS

BY_NAME: Mapping[str, Projection] = {each.name: each for each in PROJECTIONS}


class State(StrEnum):
    """What a version is for."""

    NEXT = "next"
    LIVE = "live"
    OLD = "old"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of one view; job and segment say how far an index is made."""

    projection: str
    version: int
    state: State
    job_id: str
    segment_id: str
    changed_at: datetime

    @property
    def schema(self) -> str:
        """Where its tables lie unless it is live; also the name of its offsets."""
        return schema_of(self.projection, self.version)


def schema_of(projection: str, version: int) -> str:
    """Where the tables of a version lie while it is not the live one."""
    return f"{projection}_v{version}"


def versions(conn: Connection) -> list[Version]:
    """All of them, by projection and number."""
    with conn.cursor(row_factory=dict_row) as cursor:
        cursor.execute(_sql("versions"))
        return msgspec.convert(cursor.fetchall(), list[Version])


def find(conn: Connection, projection: str, state: State) -> Version | None:
    """The version of a view in this state."""
    return next((v for v in versions(conn) if (v.projection, v.state) == (projection, state)), None)


def ensure_live(conn: Connection, projection: str, version: int = 1) -> None:
    """Every view has a live version."""
    run(conn, "ensure_live", projection=projection, version=version)


def add_next(conn: Connection, projection: str) -> int:
    """The number of a version to be made."""
    row = run(conn, "add_next", projection=projection).fetchone()
    assert row is not None
    return int(row[0])


def offsets(conn: Connection, consumer: str) -> dict[int, int]:
    """Next offset of `transcripts` by partition, as far as a consumer has come."""
    rows = run(conn, "offsets", consumer=consumer, topic=TRANSCRIPTS).fetchall()
    return {int(partition): int(following) for partition, following in rows}


def put_offsets(conn: Connection, consumer: str, places: Mapping[int, int]) -> None:
    """Writes them, whatever stood there."""
    run(
        conn,
        "put_offsets",
        consumer=consumer,
        topic=TRANSCRIPTS,
        partitions=list(places),
        offsets=list(places.values()),
    )


def use_schemas(conn: Connection, schemas: Sequence[str]) -> None:
    """Until the transaction ends, unqualified tables are looked for there first."""
    names = sql.SQL(", ").join(sql.Identifier(name) for name in (*schemas, "public"))
    conn.execute(sql.SQL("SET LOCAL search_path TO {}").format(names))


def drop_tables(conn: Connection, projection: str, version: int) -> None:
    """A version that is not live goes away; the row first, so that whoever holds it is waited for."""
    run(conn, "forget", projection=projection, version=version)
    name = schema_of(projection, version)
    run(conn, "forget_offsets", consumer=name)
    conn.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name)))


def run(conn: Connection, name: str, **values: object) -> Any:
    """A statement of this package."""
    return conn.execute(_sql(name), values)


def _sql(name: str) -> bytes:
    return load_sql("projections.rebuilding")[name].encode()
