"""Reads of the view `history`: the feed of a job, and what became of a request.

In: an async connection, a tenant. Out: frozen lines. Knows no HTTP.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from runtime.postgres import load_sql

Connection = AsyncConnection[Any]

# The projector announces the cause_id of every fact here, in the transaction that makes it readable.
OUTCOME_CHANNEL = "palimpsest_outcome"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLine:
    """One fact of a job's history; code and message are those of a refusal or a failure."""

    job_id: str
    seq: int
    kind: str
    occurred_at_ms: int
    actor: str
    cause_id: str
    event_id: str
    code: str | None
    message: str | None


async def since(
    conn: Connection, tenant_id: str, job_id: str, after_seq: int = 0, limit: int = 500
) -> tuple[HistoryLine, ...]:
    """The lines of a job after `after_seq`, in order."""
    params = {
        "tenant_id": tenant_id,
        "job_id": job_id,
        "after_seq": after_seq,
        "limit": limit,
    }
    return await _lines(conn, "since", params)


async def outcome(conn: Connection, tenant_id: str, cause_id: str) -> HistoryLine | None:
    """What became of a request or event; None while nothing has."""
    params = {"tenant_id": tenant_id, "cause_id": cause_id}
    found = await _lines(conn, "outcome", params)
    return found[0] if found else None


async def _lines(conn: Connection, name: str, params: Mapping[str, Any]) -> tuple[HistoryLine, ...]:
    sql = load_sql("projections.history")[name]
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(sql.encode(), params)
        return msgspec.convert(await cursor.fetchall(), tuple[HistoryLine, ...])
