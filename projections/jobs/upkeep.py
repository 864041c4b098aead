"""Reads of the view `jobs` for sweeps: across tenants, by what is over.

In: an async connection. Out: ids and frozen rows. Knows no HTTP; nothing of this reaches a client.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from runtime.postgres import load_sql

Connection = AsyncConnection[Any]

# Warnings of a completed job that a retry may still take away, for which it needs the chunks.
_OPEN_WARNINGS = '$[*] ? (@.code == "diarization_failed" || @.code == "evidence_missing" || @.code == "retry_failed")'


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedJob:
    """A job that ended; `open_ends` says that a retry could add to it."""

    job_id: str
    tenant_id: str
    status: str
    seq: int
    ended_at_ms: int
    open_ends: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasedJob:
    """A job that was erased, by the fact `seq`."""

    job_id: str
    tenant_id: str
    seq: int
    erased_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UntouchedJob:
    """A job under way, its last fact, and the planned chunks that are not complete in its current round."""

    job_id: str
    tenant_id: str
    seq: int
    touched_at_ms: int
    prepared: bool
    diarize: bool
    open_chunks: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a page begins: after this time and job."""

    at_ms: int
    job_id: str = ""


async def known(conn: Connection, job_ids: Sequence[str]) -> frozenset[str]:
    """Those of the jobs that the view has."""
    return await _ids(conn, "known", job_ids)


async def erased_among(conn: Connection, job_ids: Sequence[str]) -> frozenset[str]:
    """Those of the jobs that were erased."""
    return await _ids(conn, "erased_among", job_ids)


async def ended(conn: Connection, after: Place, limit: int) -> tuple[EndedJob, ...]:
    """Jobs that ended after a place, oldest end first."""
    params = {**asdict(after), "limit": limit, "open_path": _OPEN_WARNINGS}
    return msgspec.convert(await _rows(conn, "ended", params), tuple[EndedJob, ...])


async def erased(conn: Connection, after: Place, limit: int) -> tuple[ErasedJob, ...]:
    """Jobs that were erased after a place, oldest erasure first."""
    return msgspec.convert(await _rows(conn, "erased", {**asdict(after), "limit": limit}), tuple[ErasedJob, ...])


async def erasures_of(conn: Connection, job_ids: Sequence[str]) -> tuple[ErasedJob, ...]:
    """The erasures of these jobs."""
    rows = await _rows(conn, "erasures_of", {"job_ids": list(job_ids)})
    return msgspec.convert(rows, tuple[ErasedJob, ...])


async def untouched(conn: Connection, before_ms: int, after: str, limit: int) -> tuple[UntouchedJob, ...]:
    """Open jobs without a fact since `before_ms` whose id follows `after`, in the order of their ids."""
    params = {"before_ms": before_ms, "after": after, "limit": limit}
    return msgspec.convert(await _rows(conn, "untouched", params), tuple[UntouchedJob, ...])


async def _ids(conn: Connection, name: str, job_ids: Sequence[str]) -> frozenset[str]:
    rows = await _rows(conn, name, {"job_ids": list(job_ids)})
    return frozenset(row["job_id"] for row in rows)


async def _rows(conn: Connection, name: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
    sql = load_sql("projections.jobs", "upkeep.sql")[name]
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(sql.encode(), params)
        return await cursor.fetchall()
