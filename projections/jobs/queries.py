"""Reads of the view `jobs`.

In: an async connection, a tenant. Out: frozen views of jobs. Knows no HTTP.
What belongs to another tenant, or was erased, is not there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from projections.jobs.views import Failure, JobRow, JobView, Stage, Status, job_view
from projections.transcripts import queries as transcripts
from runtime.postgres import load_sql

__all__ = [
    "Failure",
    "JobCursor",
    "JobPage",
    "JobView",
    "Stage",
    "Status",
    "get_job",
    "is_erased",
    "list_jobs",
    "outstanding_minutes",
]

Connection = AsyncConnection[Any]
_MS_PER_MINUTE = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCursor:
    """The last job of a page: the next one starts after it."""

    created_at_ms: int
    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPage:
    """Jobs, newest first, without partial text; `next` is None on the last page."""

    jobs: tuple[JobView, ...]
    next: JobCursor | None


async def get_job(conn: Connection, tenant_id: str, job_id: str) -> JobView | None:
    """One job; None when the tenant has no such job, or no longer."""
    found = await _views(conn, tenant_id, [job_id], with_text=True)
    return found.get(job_id)


async def list_jobs(
    conn: Connection,
    tenant_id: str,
    limit: int = 50,
    after: JobCursor | None = None,
    status: str | None = None,
) -> JobPage:
    """A page of the tenant's jobs."""
    params = {
        "tenant_id": tenant_id,
        "status": status,
        "before": after.created_at_ms if after else None,
        "before_job": after.job_id if after else "",
        "limit": limit + 1,
    }
    rows = await _rows(conn, "newest", params)
    page = rows[:limit]
    ids = [row["job_id"] for row in page]
    found = await _views(conn, tenant_id, ids, with_text=False)
    more = len(rows) > limit
    return JobPage(
        jobs=tuple(found[job_id] for job_id in ids if job_id in found),
        next=JobCursor(created_at_ms=page[-1]["created_at"], job_id=ids[-1]) if more else None,
    )


async def is_erased(conn: Connection, tenant_id: str, job_id: str) -> bool:
    """Whether the tenant had this job and let it be forgotten."""
    params = {"tenant_id": tenant_id, "job_id": job_id}
    return bool(await _rows(conn, "erased", params))


async def outstanding_minutes(conn: Connection, tenant_id: str) -> float:
    """Minutes of audio that the tenant's open jobs hold, as far as their length is known."""
    rows = await _rows(conn, "outstanding", {"tenant_id": tenant_id})
    return float(rows[0]["duration_ms"] / _MS_PER_MINUTE)


async def _views(conn: Connection, tenant_id: str, job_ids: Sequence[str], *, with_text: bool) -> dict[str, JobView]:
    if not job_ids:
        return {}
    params = {
        "tenant_id": tenant_id,
        "job_ids": list(job_ids),
        "with_text": with_text,
    }
    rows = msgspec.convert(await _rows(conn, "jobs", params), list[JobRow])
    counts = await transcripts.counts_of(conn, tenant_id, job_ids)
    voices = await transcripts.speakers_of(conn, tenant_id, job_ids)
    return {row.job_id: job_view(row, counts[row.job_id], voices[row.job_id].views()) for row in rows}


async def _rows(conn: Connection, name: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
    sql = load_sql("projections.jobs")[name]
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(sql.encode(), params)
        return await cursor.fetchall()
