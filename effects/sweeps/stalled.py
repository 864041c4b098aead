"""Jobs that stand still are ended: their deadline is written onto `controls`, the assembler decides.

In: the views of open jobs, the positions of the consumer groups. Out: DeadlinePassed, one for each job and fact after
which it stood still: written twice it counts once, and a job that has moved since is not ended by it.
"""

import asyncio
import time
from collections.abc import Sequence

from effects.sweeps.standstill import READERS, OpenJob, Where, stands_still
from effects.world import World
from projections.jobs import upkeep as jobs
from runtime.faults import crash_point
from runtime.kafka import Outgoing, outgoing
from runtime.postgres import borrowed
from runtime.progress import waiting_since
from runtime.telemetry import jobs_stalled, logger
from schemas.identity import event_id
from schemas.records import DeadlinePassed
from schemas.topics import CONTROLS

PAGE = 500
STALLED = "stalled"
SOURCE = "effects"

log = logger(__name__)


async def end_stalled(world: World) -> int:
    """Writes the deadlines that have passed; their number."""
    now_ms = time.time_ns() // 1_000_000
    old = await _old(world, now_ms - world.stalled_after_s * 1000)
    if not old:
        return 0
    waiting = await asyncio.to_thread(_waiting, world)
    after_ms, partitions = world.stalled_after_s * 1000, world.kafka.partitions
    still = [job for job in old if stands_still(job, waiting, partitions, now_ms, after_ms)]
    for job in still:
        log.error("a job stands still and is ended", action="job.stalled", job_id=job.job_id, seq=job.seq)
        out = await asyncio.to_thread(_outgoing, world, job)
        with crash_point("deadline.produce"):
            await world.producer.send(out)
        jobs_stalled.inc()
    return len(still)


async def _old(world: World, before_ms: int) -> Sequence[OpenJob]:
    found: list[OpenJob] = []
    after = ""
    while True:
        async with borrowed(world.connections) as conn:
            page = await jobs.untouched(conn, before_ms, after, PAGE)
        found += [_open_job(row) for row in page]
        if len(page) < PAGE:
            return found
        after = page[-1].job_id


def _open_job(row: jobs.UntouchedJob) -> OpenJob:
    return OpenJob(
        job_id=row.job_id,
        tenant_id=row.tenant_id,
        seq=row.seq,
        touched_at_ms=row.touched_at_ms,
        prepared=row.prepared,
        diarize=row.diarize,
        open_chunks=tuple(row.open_chunks),
    )


def _waiting(world: World) -> dict[Where, int]:
    return {
        (group, topic, partition): since_ms
        for group, topics in READERS.items()
        for (topic, partition), since_ms in waiting_since(world.kafka, group, topics).items()
    }


def _outgoing(world: World, job: OpenJob) -> Outgoing:
    # All of it follows from the fact after which the job stood still, so that a repetition is the same record.
    cause_id = event_id(f"{job.job_id}/{job.seq}", STALLED)
    record = DeadlinePassed(
        event_id=event_id(cause_id, "DeadlinePassed"),
        job_id=job.job_id,
        tenant_id=job.tenant_id,
        actor=SOURCE,
        occurred_at=job.touched_at_ms + world.stalled_after_s * 1000,
        cause_id=cause_id,
        deadline=STALLED,
        as_of_seq=job.seq,
    )
    return outgoing(record, CONTROLS, world.codec, world.kafka.partitions, SOURCE)
