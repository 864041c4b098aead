"""Accepted uploads: the promise, kept in PostgreSQL before the log has it.

In: an UploadReceived and its final bytes. Out: the same record for a client's next GET; `effects` reads the
bytes for a repeat.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from psycopg.types.json import Jsonb

from runtime.kafka import Outgoing
from runtime.postgres import AsyncConnection, load_sql
from schemas.records import UploadReceived

_SQL = "api.requests"


async def accept(conn: AsyncConnection, upload: UploadReceived, out: Outgoing) -> bool:
    """Records the acceptance; False where this job was accepted before, which then counts."""
    values = {
        "job_id": upload.job_id,
        "tenant_id": upload.tenant_id,
        "event_id": upload.event_id,
        "occurred_at": upload.occurred_at,
        "request": Jsonb(msgspec.to_builtins(upload)),
        "topic": out.topic,
        "partition": out.partition,
        "key": out.key,
        "value": out.value,
        "headers": Jsonb([[name, value.decode()] for name, value in out.headers]),
    }
    answer = await conn.execute(load_sql(_SQL)["accept"].encode(), values)
    return await answer.fetchone() is not None


async def accepted(conn: AsyncConnection, tenant_id: str, job_id: str) -> UploadReceived | None:
    """The upload a tenant's job began with, while it is kept here."""
    rows = await _rows(conn, "accepted", {"job_id": job_id, "tenant_id": tenant_id})
    return _upload(rows[0]) if rows else None


async def accepted_page(
    conn: AsyncConnection, tenant_id: str, before: tuple[int, str] | None, limit: int
) -> list[UploadReceived]:
    """A tenant's accepted uploads before a position (time, job id), newest first."""
    at, job_id = before or (None, None)
    values = {"tenant_id": tenant_id, "before": at, "before_id": job_id, "limit": limit}
    return [_upload(row) for row in await _rows(conn, "accepted_page", values)]


async def _rows(conn: AsyncConnection, name: str, values: Mapping[str, object]) -> list[Any]:
    answer = await conn.execute(load_sql(_SQL)[name].encode(), dict(values))
    return await answer.fetchall()


def _upload(row: Any) -> UploadReceived:
    return msgspec.convert(row[0], UploadReceived)
