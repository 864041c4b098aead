"""Objects of no job: what an upload left whose acceptance failed, and what was stored for an erased job long after it.

In: a list of the whole bucket, and what the views and acceptances know. Out: objects and begun uploads deleted.
An object counts as an orphan only when the views hold everything that was in the log before it was listed, so that
neither a rebuild nor an older backup of the database can make a recording look unknown.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, islice

from effects.world import World
from projections.jobs import upkeep as jobs
from runtime.errors import Unavailable
from runtime.faults import crash_point
from runtime.objects import Entry, OpenUpload, Upload
from runtime.postgres import AsyncConnection, borrowed, load_sql
from runtime.telemetry import objects_deleted
from runtime.topic_reader import end_offsets
from schemas.identity import is_job_id
from schemas.topics import TRANSCRIPTS, UPLOADS, UPLOADS_LONG

PAGE = 1_000
CAUGHT_UP_TRIES = 10
CAUGHT_UP_PAUSE_S = 1.0
# Which consumers must have read which topics before an unknown job is one that does not exist.
READERS = (("assembler", UPLOADS), ("assembler", UPLOADS_LONG), ("projector", TRANSCRIPTS))


async def sweep_orphans(world: World) -> int:
    """The number of objects and uploads deleted; raises Unavailable while the views are behind the log."""
    if not await _caught_up(world):
        raise Unavailable("orphans are left until the views have caught up with the log")
    cutoff = datetime.now(UTC) - timedelta(hours=world.forgetting.orphan_hours)
    found = chain(world.objects.open_uploads(""), world.objects.entries(""))
    done = 0
    while page := await asyncio.to_thread(lambda: list(islice(found, PAGE))):
        for entry in await _doomed(world, page, cutoff):
            done += await _gone(world, entry, cutoff)
    objects_deleted.labels("orphan").inc(done)
    return done


async def _caught_up(world: World) -> bool:
    """Whether everything that is in the log now is known to the database, or is within a moment."""
    topics = {topic for _, topic in READERS}
    ends = {topic: await asyncio.to_thread(end_offsets, world.kafka, topic) for topic in sorted(topics)}
    for _ in range(CAUGHT_UP_TRIES):
        async with borrowed(world.connections) as conn:
            behind = [await _behind(conn, world.kafka.group(name), topic, ends[topic]) for name, topic in READERS]
        if not any(behind):
            return True
        await asyncio.sleep(CAUGHT_UP_PAUSE_S)
    return False


async def _behind(conn: AsyncConnection, reader: str, topic: str, ends: dict[int, int]) -> bool:
    answer = await conn.execute(load_sql("effects")["read_to"].encode(), {"consumer": reader})
    read = {partition: offset for name, partition, offset in await answer.fetchall() if name == topic}
    return any(read.get(partition, 0) < end for partition, end in ends.items())


async def _doomed(world: World, page: Sequence[Entry], cutoff: datetime) -> list[Entry]:
    """Of erased jobs all, of unknown jobs what is old, and uploads that nobody finished in time."""
    named = sorted({job_id for entry in page if (job_id := job_of(entry.key))})
    async with borrowed(world.connections) as conn:
        erased = await jobs.erased_among(conn, named)
        known = await jobs.known(conn, named) | await _accepted(conn, named)
    return [
        entry
        for entry in page
        if (job_id := job_of(entry.key))
        and (job_id in erased or (entry.since < cutoff and (job_id not in known or isinstance(entry, OpenUpload))))
    ]


async def _gone(world: World, entry: Entry, cutoff: datetime) -> bool:
    """Whether it was deleted: since its page was looked through, a client may have repeated the upload that left it."""
    if not await _doomed(world, [entry], cutoff):
        return False
    return await asyncio.to_thread(_deleted, world, entry)


async def _accepted(conn: AsyncConnection, job_ids: Sequence[str]) -> frozenset[str]:
    """Jobs that the log may not have yet."""
    answer = await conn.execute(load_sql("api.requests")["accepted_among"].encode(), {"job_ids": list(job_ids)})
    return frozenset(row[0] for row in await answer.fetchall())


def job_of(key: str) -> str | None:
    """The job an object belongs to; None for a key that is not one of ours."""
    parts = key.split("/")
    return parts[1] if len(parts) > 2 and is_job_id(parts[1]) else None


def _deleted(world: World, entry: Entry) -> bool:
    """Deletes it, unless it is another by now.

    This look comes after the one at the acceptances, as an upload is stored before it is accepted: what is stored and
    accepted between the two is seen here, and only what is stored between this look and the delete is not.
    """
    if not isinstance(entry, OpenUpload) and entry not in world.objects.entries(entry.key):
        return False
    with crash_point("orphan.delete"):
        if isinstance(entry, OpenUpload):
            world.objects.abort(Upload(key=entry.key, upload_id=entry.upload_id))
        else:
            world.objects.purge(entry.key)
    return True
