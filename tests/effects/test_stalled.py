"""The sweep of jobs that stand still, on real engines."""

import time
from dataclasses import replace

from confluent_kafka import Producer

from effects.sweeps.stalled import end_stalled
from effects.world import World
from projections.applying import apply_facts
from runtime.postgres import connection
from runtime.progress import waiting_since
from runtime.settings import Settings
from schemas import records
from schemas.identity import chunk_key, partition_for
from schemas.topics import CHUNKS_BATCH, CONTROLS
from tests.effects.log import messages
from tests.projections.facts import Job

HOUR_MS = 3_600_000


def _old_job(settings: Settings, number: int) -> Job:
    """A job whose two chunks were cut half a day ago."""
    job = Job(number)
    job.accepted("call.wav")
    job.audio_ready(2)
    long_ago_ms = int(time.time() * 1000) - 12 * HOUR_MS
    with connection(settings.postgres_dsn) as conn:
        apply_facts(conn, 0, [replace(fact, occurred_at=long_ago_ms) for fact in job.facts])
    return job


def _waits(world: World, job: Job, written_at_ms: int) -> None:
    """Work for the job's first chunk on a lane that nobody has read."""
    producer = Producer({"bootstrap.servers": world.kafka.bootstrap})
    key = chunk_key(job.job_id, 0)
    place = partition_for(key, world.kafka.partitions)
    producer.produce(world.kafka.topic(CHUNKS_BATCH), b"work", key, partition=place, timestamp=written_at_ms)
    producer.flush(10)


async def test_a_job_that_stands_still_is_ended_once(world: World, settings: Settings) -> None:
    job = _old_job(settings, 1)
    assert await end_stalled(world) == 1
    await end_stalled(world)
    found = [world.codec.decode(message.value() or b"") for message in messages(world.kafka, CONTROLS)]
    assert len(found) == 2 and found[0] == found[1]
    [deadline] = {record.event_id: record for record in found}.values()
    assert isinstance(deadline, records.DeadlinePassed)
    assert (deadline.job_id, deadline.deadline, deadline.as_of_seq) == (job.job_id, "stalled", 2)


async def test_a_job_behind_others_does_not_stand_still(world: World, settings: Settings) -> None:
    job = _old_job(settings, 2)
    written_at_ms = int(time.time() * 1000) - 13 * HOUR_MS
    _waits(world, job, written_at_ms)
    assert await end_stalled(world) == 0
    place = (CHUNKS_BATCH, partition_for(chunk_key(job.job_id, 0), world.kafka.partitions))
    assert waiting_since(world.kafka, "speech-asr", [CHUNKS_BATCH]) == {place: written_at_ms}
