"""What is older than its tenant wants goes: recordings from the object store, transcripts by an erasure.

In: the tenants' settings and the views. Out: fewer objects; ErasureRequested by the actor `retention`. Its id follows
from the job, so asking again changes nothing: the assembler knows it, and an erased job takes no further request.
"""

import asyncio
import time
from collections.abc import AsyncIterator

from effects.world import World
from runtime.errors import StoreRefuses
from runtime.faults import crash_point
from runtime.kafka import outgoing
from runtime.postgres import borrowed, load_sql
from runtime.telemetry import logger, objects_deleted
from schemas.identity import event_id
from schemas.records import ErasureRequested
from schemas.topics import CONTROLS

ACTOR = "retention"
PAGE = 500

log = logger(__name__)


async def expire_audio(world: World) -> int:
    """Deletes recordings that are too old, with chunks that waited for a retry; the number of jobs.

    One that the store does not let go, as where it is held, keeps nobody else's; the next run tries it again.
    """
    done, refused = 0, None
    async for job_id, tenant_id in _old(world, "old_audio"):
        try:
            await _expire(world, job_id, tenant_id)
            done += 1
        except StoreRefuses as trouble:
            refused = trouble
    if refused is not None:
        raise refused
    return done


async def _expire(world: World, job_id: str, tenant_id: str) -> None:
    with crash_point("audio.expire"):
        purged = await asyncio.to_thread(world.objects.purge, f"{tenant_id}/{job_id}/")
    async with borrowed(world.connections, commit="audio.expired") as conn:
        values = {"job_id": job_id, "tenant_id": tenant_id}
        await conn.execute(load_sql("effects")["note_expiry"].encode(), values)
    objects_deleted.labels("expired").inc(purged.total)
    log.info("a recording was too old", action="audio.expired", job_id=job_id, objects=purged.total)


async def expire_transcripts(world: World) -> int:
    """Asks for the erasure of jobs that are too old; the number of requests."""
    done = 0
    async for job_id, tenant_id in _old(world, "old_transcripts"):
        record = erasure(job_id, tenant_id, _now_ms())
        out = await asyncio.to_thread(outgoing, record, CONTROLS, world.codec, world.kafka.partitions, "effects")
        with crash_point("retention.produce"):
            await world.producer.send(out)
        log.info("a transcript is too old", action="transcript.expired", job_id=job_id)
        done += 1
    return done


def erasure(job_id: str, tenant_id: str, now_ms: int) -> ErasureRequested:
    """The request; the same id each time."""
    cause = f"{ACTOR}/{job_id}"
    return ErasureRequested(
        event_id=event_id(cause, ErasureRequested.__name__),
        job_id=job_id,
        tenant_id=tenant_id,
        actor=ACTOR,
        occurred_at=now_ms,
        cause_id=cause,
    )


async def _old(world: World, name: str) -> AsyncIterator[tuple[str, str]]:
    """Each job that is too old, with its tenant, read page by page."""
    after = ""
    while True:
        values = {"now_ms": _now_ms(), "after": after, "limit": PAGE}
        async with borrowed(world.connections) as conn:
            page = await (await conn.execute(load_sql("effects")[name].encode(), values)).fetchall()
        for job_id, tenant_id in page:
            yield job_id, tenant_id
        if not page:
            return
        after = page[-1][0]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
