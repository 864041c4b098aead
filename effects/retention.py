"""How long a tenant keeps recordings and transcripts, as operators set it.

In: a DSN, a tenant, days. Out: rows. Without one nothing is deleted by age.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from runtime.postgres import AsyncConnection, connection, load_sql


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Days from the upload on; None is for ever."""

    tenant_id: str
    audio_days: int | None
    transcript_days: int | None


def set_retention(dsn: str, wanted: Retention) -> None:
    """Sets both."""
    values = {
        "tenant_id": wanted.tenant_id,
        "audio_days": wanted.audio_days,
        "transcript_days": wanted.transcript_days,
    }
    with connection(dsn, autocommit=True) as conn:
        conn.execute(load_sql("effects")["set_retention"].encode(), values)


def all_retentions(dsn: str) -> list[Retention]:
    """Of every tenant that has one."""
    with connection(dsn, autocommit=True) as conn:
        rows = conn.execute(load_sql("effects")["retentions"].encode()).fetchall()
    return [Retention(tenant_id=tenant, audio_days=audio, transcript_days=text) for tenant, audio, text in rows]


async def audio_expired(conn: AsyncConnection, job_ids: Sequence[str]) -> dict[str, int]:
    """When the recordings of these jobs were deleted by age, in ms, where they were."""
    answer = await conn.execute(load_sql("effects")["audio_expired"].encode(), {"job_ids": list(job_ids)})
    return {row[0]: row[1] for row in await answer.fetchall()}
