"""Erasures are seen through: objects, answers, search documents, and in the end the tombstones once more.

In: jobs that the views say are erased. Out: nothing left of them, and a note of what was done where.
The views themselves forgot in the projector's transaction, the log's tombstones were written by the assembler. Whoever
was paused meanwhile may wake and store or write something, so each erasure is looked at again and again until
`settle_s` has passed; the last look repeats the tombstones too. What comes later still is found by `orphans`.
A place that is away keeps nobody from the others, and a look that missed one is soon made again.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from effects import erasures
from effects.erasures import Look
from effects.world import World
from projections.jobs import upkeep as jobs
from projections.jobs.upkeep import ErasedJob, Place
from projections.search.remains import mark_shown
from runtime.errors import StoreRefuses, Unavailable
from runtime.faults import crash_point
from runtime.kafka import Outgoing
from runtime.postgres import borrowed, load_sql
from runtime.telemetry import logger, objects_deleted
from schemas.identity import fact_key, partition_for
from schemas.topics import TRANSCRIPTS

RECENT_MS = 600_000
LOOKS = 60  # how often an erasure is looked at until it is settled
PAGE = 500
TOMBSTONES_AT_ONCE = 100
# A look that missed a place is made again so soon.
AGAIN_S = 10.0

log = logger(__name__)
Work = Callable[[World, ErasedJob], Awaitable[int]]


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
    looks = _Looks(world)
    for job in found:
        await looks.at(job, final=final[job.job_id])
    looks.check()
    return len(found)


async def _take_up(world: World, since_ms: int) -> int:
    """The number of erasures taken up."""
    done, after, looks = 0, Place(at_ms=since_ms), _Looks(world)
    while True:
        async with borrowed(world.connections) as conn:
            page = await jobs.erased(conn, after, PAGE)
            known = await erasures.begun(conn, [job.job_id for job in page])
        for job in page:
            if job.job_id not in known:
                await looks.at(job, final=False)
                done += 1
        if len(page) < PAGE:
            looks.check()
            return done
        after = Place(at_ms=page[-1].erased_at_ms, job_id=page[-1].job_id)


class _Looks:
    """The looks of one run, each place in a transaction of its own. A place that is away is not asked again in the run;
    one that answers and refuses may refuse this job alone."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._troubles: dict[Work, Unavailable] = {}
        self._away: set[Work] = set()

    async def at(self, job: ErasedJob, *, final: bool) -> None:
        """One look at one job."""
        async with borrowed(self._world.connections, commit="erasure.begin") as conn:
            await erasures.take_up(conn, job.job_id, job.seq)
        found = {work: await self._in(work, job) for work in (_purge, _answers, _documents)}
        if final and None not in found.values():
            found[_repeat_tombstones] = await self._in(_repeat_tombstones, job)
        missed = None in found.values()
        number = sum(filter(None, found.values()))
        look = Look(
            found=bool(number),
            marked=bool(found[_documents]),
            final=final and not missed,
            ago_s=max(0.0, self._world.forgetting.settle_s / LOOKS - AGAIN_S) if missed else 0.0,
        )
        async with borrowed(self._world.connections, commit="erasure.look") as conn:
            await erasures.note_look(conn, job.job_id, look)
        log.info("forgot", action="erasure.look", job_id=job.job_id, found=number, missed=missed, final=look.final)

    def check(self) -> None:
        """Raises what went wrong, if anything did."""
        for trouble in self._troubles.values():
            raise trouble

    async def _in(self, work: Work, job: ErasedJob) -> int | None:
        """How much there was to forget; None where the place could not be looked at."""
        if work in self._away:
            return None
        try:
            return await work(self._world, job)
        except Unavailable as trouble:
            self._troubles[work] = trouble
            if not isinstance(trouble, StoreRefuses):
                self._away.add(work)
            return None


async def _purge(world: World, job: ErasedJob) -> int:
    with crash_point("erasure.purge"):
        purged = await asyncio.to_thread(world.objects.purge, f"{job.tenant_id}/{job.job_id}/")
    detail = f"{purged.objects} objects, {purged.versions} versions, {purged.uploads} open uploads"
    async with borrowed(world.connections, commit="erasure.objects") as conn:
        await erasures.note_step(conn, job.job_id, "objects", purged.total, detail if purged.total else "")
    objects_deleted.labels("erased").inc(purged.total)
    return purged.total


async def _answers(world: World, job: ErasedJob) -> int:
    """What the API kept of the job: the bytes of its acceptance, and answers that hold its text or file name."""
    sql, number = load_sql("api.requests"), 0
    async with borrowed(world.connections, commit="erasure.answers") as conn:
        for name in ("forget_acceptances", "forget_answers"):
            number += (await conn.execute(sql[name].encode(), {"job_ids": [job.job_id]})).rowcount
        await erasures.note_step(conn, job.job_id, "answers", number)
    return number


async def _documents(world: World, job: ErasedJob) -> int:
    async with borrowed(world.connections, commit="erasure.documents") as conn:
        number = await mark_shown(conn, world.search, job, _partition(world, job))
        await erasures.note_step(conn, job.job_id, "documents", number)
    return number


def _partition(world: World, job: ErasedJob) -> int:
    return partition_for(job.job_id.encode(), world.kafka.partitions)


async def _repeat_tombstones(world: World, job: ErasedJob) -> int:
    """Over every fact before JobErased: whoever published one late published it before this. Nothing is found by it."""
    partition, places = _partition(world, job), list[int]()
    for first in range(1, job.seq, TOMBSTONES_AT_ONCE):
        numbers = range(first, min(first + TOMBSTONES_AT_ONCE, job.seq))
        sent = (_tombstone(world, partition, fact_key(job.job_id, seq)) for seq in numbers)
        places += await asyncio.gather(*sent)
    detail = f"partition {partition}, offsets {min(places)} to {max(places)}" if places else ""
    async with borrowed(world.connections, commit="erasure.tombstones") as conn:
        await erasures.note_step(conn, job.job_id, "tombstones", len(places), detail)
    return 0


async def _tombstone(world: World, partition: int, key: bytes) -> int:
    with crash_point("tombstone.produce"):
        return await world.producer.send(Outgoing(topic=TRANSCRIPTS, partition=partition, key=key, value=None))
