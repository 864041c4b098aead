"""What is older than its tenant wants goes, and nothing of those who set nothing."""

import time

from api.jobs import job_shape
from effects.retention import Retention, all_retentions, set_retention
from effects.sweeps.retention import expire_audio, expire_transcripts
from effects.world import World
from runtime.postgres import borrowed
from runtime.registry import Registry
from runtime.settings import Settings
from schemas.codec import Codec
from schemas.records import ErasureRequested
from schemas.topics import DAY_MS
from tests.effects.log import messages
from tests.effects.test_sweeps import _moved, left, show, stored
from tests.projections.facts import Job, conversation


def aged(number: int, days: float) -> Job:
    """A finished job of some days ago."""
    job = conversation(number)
    _moved(job, time.time_ns() // 1_000_000 - int(days * DAY_MS))
    return job


async def test_recordings_go_after_their_days_and_the_job_says_so(world: World, settings: Settings) -> None:
    old, young = aged(1, 3.1), aged(2, 2.9)
    show(settings, old)
    stored(world, old)
    show(settings, young)
    everything = stored(world, young)
    assert await expire_audio(world) == 0  # nobody wants it
    wanted = Retention(tenant_id="acme", audio_days=3, transcript_days=None)
    set_retention(settings.postgres_dsn, wanted)
    assert all_retentions(settings.postgres_dsn) == [wanted]
    assert await expire_audio(world) == 1
    assert await expire_audio(world) == 0
    assert (left(world, old), left(world, young)) == (set(), everything)
    async with borrowed(world.connections) as conn:
        assert (await job_shape(conn, "acme", old.job_id)).audio_deleted_at is not None
        assert (await job_shape(conn, "acme", young.job_id)).audio_deleted_at is None
    assert await expire_transcripts(world) == 0


async def test_transcripts_are_erased_after_their_days_by_one_request(world: World, settings: Settings) -> None:
    old, young = aged(1, 30.1), aged(2, 29.9)
    for job in (old, young):
        show(settings, job)
    set_retention(settings.postgres_dsn, Retention(tenant_id="acme", audio_days=None, transcript_days=30))
    assert [await expire_transcripts(world) for _ in range(2)] == [1, 1]
    codec = Codec(Registry(settings.registry_url))
    found = [codec.decode(message.value() or b"") for message in messages(settings.kafka, "controls")]
    assert [type(record) for record in found] == [ErasureRequested] * 2
    assert {(record.job_id, record.actor) for record in found} == {(old.job_id, "retention")}
    assert len({record.event_id for record in found}) == 1  # so the second changes nothing
