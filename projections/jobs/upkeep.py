"""Reads of the view `jobs` for sweeps: across tenants, by what is over.

In: an async connection. Out: ids and frozen rows. Knows no HTTP; nothing of this reaches a client.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    """A job that ended; `status` may be `erased`, `open_ends` says that a retry could add to it."""

    job_id: str
    tenant_id: str
    status: str
    seq: int
    ended_at_ms: int
    open_ends: bool


async def known(conn: Connection, job_ids: Sequence[str]) -> frozenset[str]:
    """Those of the jobs that the view has."""
    return await _ids(conn, "known", job_ids)


async def erased_among(conn: Connection, job_ids: Sequence[str]) -> frozenset[str]:
    """Those of the jobs that were erased."""
    return await _ids(conn, "erased_among", job_ids)


async def ended(conn: Connection, since_ms: int, after: str, limit: int) -> tuple[EndedJob, ...]:
    """Jobs that ended at `since_ms` or later and whose id follows `after`, in the order of their ids."""
    params = {"since_ms": since_ms, "after": after, "limit": limit, "open_path": _OPEN_WARNINGS}
    return msgspec.convert(await _rows(conn, "ended", params), tuple[EndedJob, ...])


async def _ids(conn: Connection, name: str, job_ids: Sequence[str]) -> frozenset[str]:
    rows = await _rows(conn, name, {"job_ids": list(job_ids)})
    return frozenset(row["job_id"] for row in rows)


async def _rows(conn: Connection, name: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
    sql = load_sql("projections.jobs", "upkeep.sql")[name]
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(sql.encode(), params)
        return await cursor.fetchall()
