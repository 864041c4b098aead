"""Accepted uploads: the promise, kept in PostgreSQL before the log has it.

In: an UploadReceived and its final bytes. Out: the same record for a client's next GET, and the bytes for a repeat.
"""

from collections.abc import Mapping, Sequence
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


async def unseen(conn: AsyncConnection, older_s: float, limit: int) -> list[tuple[str, Outgoing]]:
    """Acceptances old enough to be in the log by now, with the bytes to produce, oldest first."""
    rows = await _rows(conn, "unseen_acceptances", {"older_s": older_s, "limit": limit})
    return [(job_id, _outgoing(*rest)) for job_id, *rest in rows]


async def note_repeat(conn: AsyncConnection, job_ids: Sequence[str]) -> None:
    """These were produced again just now."""
    await conn.execute(load_sql(_SQL)["note_repeat"].encode(), {"job_ids": list(job_ids)})


async def forget(conn: AsyncConnection, job_ids: Sequence[str]) -> None:
    """Drops acceptances that the views have taken over."""
    await conn.execute(load_sql(_SQL)["forget_acceptances"].encode(), {"job_ids": list(job_ids)})


async def forget_erased(conn: AsyncConnection, job_ids: Sequence[str]) -> None:
    """Drops all that is kept here of erased jobs: the bytes, and the answers with file names."""
    await forget(conn, job_ids)
    await conn.execute(load_sql(_SQL)["forget_answers"].encode(), {"job_ids": list(job_ids)})


async def forget_keys(conn: AsyncConnection, older_s: float) -> None:
    """Drops idempotency keys that have expired."""
    await conn.execute(load_sql(_SQL)["forget_keys"].encode(), {"older_s": older_s})


async def _rows(conn: AsyncConnection, name: str, values: Mapping[str, object]) -> list[Any]:
    answer = await conn.execute(load_sql(_SQL)[name].encode(), dict(values))
    return await answer.fetchall()


def _upload(row: Any) -> UploadReceived:
    return msgspec.convert(row[0], UploadReceived)


def _outgoing(topic: str, partition: int, key: bytes, value: bytes, headers: Any) -> Outgoing:
    return Outgoing(
        topic=topic,
        partition=partition,
        key=bytes(key),
        value=bytes(value),
        headers=tuple((name, text.encode()) for name, text in headers),
    )
