"""Erasures are seen through: objects, answers, search documents, and in the end the tombstones once more.

In: jobs that the views say are erased. Out: nothing left of them, and a note of what was done where.
The views themselves forgot in the projector's transaction, the log's tombstones were written by the assembler. Whoever
was paused meanwhile may wake and store or write something, so each erasure is looked at again and again until
`settle_s` has passed; the last look repeats the tombstones too. What comes later still is found by `orphans`.
"""

import asyncio
import time

from effects import erasures
from effects.world import World
from projections.jobs import upkeep as jobs
from projections.jobs.upkeep import ErasedJob, Place
from projections.search.remains import mark_shown
from runtime.faults import crash_point
from runtime.kafka import Outgoing
from runtime.postgres import AsyncConnection, borrowed, load_sql
from runtime.telemetry import logger, objects_deleted
from schemas.identity import fact_key, partition_for
from schemas.topics import TRANSCRIPTS

RECENT_MS = 600_000
LOOKS = 60  # how often an erasure is looked at until it is settled
PAGE = 500
TOMBSTONES_AT_ONCE = 100

log = logger(__name__)


async def erase_recent(world: World) -> int:
    """Takes up what was erased within the last minutes."""
    return await _take_up(world, time.time_ns() // 1_000_000 - RECENT_MS)


async def erase_all(world: World) -> int:
    """Takes up every erasure that was missed, as after a long outage or a rebuild of the views."""
    return await _take_up(world, 0)


async def erase_again(world: World) -> int:
    """Looks again at erasures that are not settled."""
    settle_s = world.forgetting.settle_s
    async with borrowed(world.connections) as conn:
        due = await erasures.still_open(conn, settle_s, settle_s / LOOKS, PAGE)
        found = await jobs.erasures_of(conn, [each.job_id for each in due])
    final = {each.job_id: each.final for each in due}
    for job in found:
        await _look(world, job, final=final[job.job_id])
    return len(found)


async def _take_up(world: World, since_ms: int) -> int:
    """The number of erasures taken up."""
    done, after = 0, Place(at_ms=since_ms)
    while True:
        async with borrowed(world.connections) as conn:
            page = await jobs.erased(conn, after, PAGE)
            known = await erasures.begun(conn, [job.job_id for job in page])
        for job in page:
            if job.job_id not in known:
                await _look(world, job, final=False)
                done += 1
        if len(page) < PAGE:
            return done
        after = Place(at_ms=page[-1].erased_at_ms, job_id=page[-1].job_id)


async def _look(world: World, job: ErasedJob, *, final: bool) -> None:
    """One look, each place in a transaction of its own: what is done is noted, whatever is away meanwhile."""
    async with borrowed(world.connections, commit="erasure.begin") as conn:
        await erasures.take_up(conn, job.job_id, job.seq)
    objects = await _purge(world, job)
    async with borrowed(world.connections, commit="erasure.answers") as conn:
        answers = await _forget_answers(conn, job.job_id)
        await erasures.note_step(conn, job.job_id, "answers", answers)
    async with borrowed(world.connections, commit="erasure.documents") as conn:
        documents = await mark_shown(conn, world.search, job, _partition(world, job))
        await erasures.note_step(conn, job.job_id, "documents", documents)
    if final:
        await _repeat_tombstones(world, job)
    async with borrowed(world.connections, commit="erasure.look") as conn:
        await erasures.note_pass(conn, job.job_id, found=bool(objects + answers + documents), final=final)
    log.info("forgot", action="erasure.look", job_id=job.job_id, objects=objects, answers=answers, final=final)


async def _purge(world: World, job: ErasedJob) -> int:
    with crash_point("erasure.purge"):
        purged = await asyncio.to_thread(world.objects.purge, f"{job.tenant_id}/{job.job_id}/")
    detail = f"{purged.objects} objects, {purged.versions} versions, {purged.uploads} open uploads"
    async with borrowed(world.connections, commit="erasure.objects") as conn:
        await erasures.note_step(conn, job.job_id, "objects", purged.total, detail if purged.total else "")
    objects_deleted.labels("erased").inc(purged.total)
    return purged.total


async def _forget_answers(conn: AsyncConnection, job_id: str) -> int:
    """What the API kept of the job: the bytes of its acceptance, and answers that hold its text or file name."""
    sql, number = load_sql("api.requests"), 0
    for name in ("forget_acceptances", "forget_answers"):
        number += (await conn.execute(sql[name].encode(), {"job_ids": [job_id]})).rowcount
    return number


def _partition(world: World, job: ErasedJob) -> int:
    return partition_for(job.job_id.encode(), world.kafka.partitions)


async def _repeat_tombstones(world: World, job: ErasedJob) -> None:
    """Over every fact before JobErased: whoever published one late published it before this."""
    partition, places = _partition(world, job), list[int]()
    for first in range(1, job.seq, TOMBSTONES_AT_ONCE):
        numbers = range(first, min(first + TOMBSTONES_AT_ONCE, job.seq))
        sent = (_tombstone(world, partition, fact_key(job.job_id, seq)) for seq in numbers)
        places += await asyncio.gather(*sent)
    detail = f"partition {partition}, offsets {min(places)} to {max(places)}" if places else ""
    async with borrowed(world.connections, commit="erasure.tombstones") as conn:
        await erasures.note_step(conn, job.job_id, "tombstones", len(places), detail)


async def _tombstone(world: World, partition: int, key: bytes) -> int:
    with crash_point("tombstone.produce"):
        return await world.producer.send(Outgoing(topic=TRANSCRIPTS, partition=partition, key=key, value=None))
