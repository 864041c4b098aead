"""Objects that nobody will ask for again are deleted.

In: the view of ended jobs; erased ones are the business of `erasures`. Out: fewer objects, a note of what was swept.
Work that still waits for a deleted chunk is answered quickly by its worker: an object that is missing is an answer.
The ends of the last two minutes are looked at every time, those of the last hour every minute, all others once an hour,
so a sweep costs what happened lately. Whoever was at the audio when its job ended may store an object after the first
sweep: the hourly pass sweeps each job a second time.
"""

import asyncio
import time
from collections.abc import Sequence

from effects.sweeps.decisions import Ended, Keep, keep, prefixes
from effects.world import World
from projections.jobs import upkeep as jobs
from projections.jobs.upkeep import Place
from runtime.faults import crash_point
from runtime.postgres import AsyncConnection, borrowed, load_sql
from runtime.telemetry import logger, objects_deleted

RECENT_MS = 120_000
LATELY_MS = 3_600_000
SETTLED_MS = 3_600_000
PAGE = 500

log = logger(__name__)


async def sweep_recent(world: World) -> int:
    """Jobs that ended within the last minutes."""
    return await _sweep(world, _now_ms() - RECENT_MS, once_more=False)


async def sweep_lately(world: World) -> int:
    """Jobs that ended within the last hour: those that the views showed late."""
    return await _sweep(world, _now_ms() - LATELY_MS, once_more=False)


async def sweep_all(world: World) -> int:
    """Every job that ended and may still have objects."""
    return await _sweep(world, 0, once_more=True)


async def _sweep(world: World, since_ms: int, *, once_more: bool) -> int:
    """The number of jobs whose objects were deleted."""
    done, after = 0, Place(at_ms=since_ms)
    while True:
        async with borrowed(world.connections) as conn:
            page = await jobs.ended(conn, after, PAGE)
            waiting = await _not_swept(conn, [_ended(row) for row in page], once_more)
        for job in waiting:
            done += await _sweep_job(world, job)
        if len(page) < PAGE:
            return done
        after = Place(at_ms=page[-1].ended_at_ms, job_id=page[-1].job_id)


def _ended(row: jobs.EndedJob) -> Ended:
    return Ended(
        job_id=row.job_id,
        tenant_id=row.tenant_id,
        status=row.status,
        seq=row.seq,
        ended_at_ms=row.ended_at_ms,
        open_ends=row.open_ends,
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


async def _not_swept(conn: AsyncConnection, found: Sequence[Ended], once_more: bool) -> list[Ended]:
    values = {"job_ids": [job.job_id for job in found], "once_more": once_more}
    answer = await conn.execute(load_sql("effects")["swept"].encode(), values)
    swept: dict[str, int] = dict(await answer.fetchall())
    return [job for job in found if swept.get(job.job_id, -1) < job.seq]


async def _sweep_job(world: World, job: Ended) -> int:
    now_ms = _now_ms()
    kept = keep(job, now_ms, world.retry_days)
    if kept is Keep.EVERYTHING:
        return 0
    number = await asyncio.to_thread(_delete, world, prefixes(job, kept))
    async with borrowed(world.connections, commit="objects.note") as conn:
        final = now_ms - job.ended_at_ms >= SETTLED_MS
        values = {"job_id": job.job_id, "seq": job.seq, "reason": job.status, "final": final}
        await conn.execute(load_sql("effects")["note_swept"].encode(), values)
    objects_deleted.labels(job.status).inc(number)
    log.info("deleted objects", action="objects.deleted", job_id=job.job_id, reason=job.status, objects=number)
    return 1


def _delete(world: World, wanted: Sequence[str]) -> int:
    keys = [key for prefix in wanted for key in world.objects.keys(prefix)]
    with crash_point("objects.delete"):
        world.objects.delete(keys)
    return len(keys)
