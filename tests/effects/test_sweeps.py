"""Sweeps on real engines: each does what is due, and doing it twice changes nothing."""

import time
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from prometheus_client import REGISTRY

from api.requests.acceptances import accept
from effects.sweeps import acceptances
from effects.sweeps.acceptances import MAX_REPEATS, repeat_acceptances
from effects.sweeps.nudges import nudge
from effects.sweeps.objects import sweep_all, sweep_recent
from effects.world import World
from projections.applying import apply_facts
from runtime.kafka import outgoing
from runtime.postgres import borrowed, connection
from runtime.registry import Registry
from runtime.settings import Settings
from schemas import records
from schemas.codec import Codec
from schemas.identity import event_id, nudge_key
from schemas.records import UploadReceived
from schemas.values import TranscriptionOptions
from tests.effects.log import messages
from tests.projections.facts import STORED, Job, conversation, gap, job_id

_OLDER = "UPDATE accepted_requests SET accepted_at = now() - interval '11 seconds', repeated_at = NULL"
_GIVEN_UP = "palimpsest_acceptances_given_up"
_KEY = (
    "INSERT INTO idempotency_keys (tenant_id, key, request_id, holder, leased_until, job_id, fingerprint,"
    " answer_status, answer_headers, answer_body) VALUES"
    " ('acme', 'k', 'r', 'h', now(), %s, 'f', 202, '{}', 'secret name.wav')"
)


def upload(number: int) -> UploadReceived:
    """What the API accepted."""
    return UploadReceived(
        event_id=event_id(job_id(number), "UploadReceived"),
        job_id=job_id(number),
        tenant_id="acme",
        actor="key:x",
        occurred_at=1,
        cause_id="request",
        audio=STORED,
        file_name="secret name.wav",
        options=TranscriptionOptions(),
    )


async def accepted(world: World, settings: Settings, number: int) -> bytes:
    """Records an acceptance of a moment ago; its final bytes."""
    codec = Codec(Registry(settings.registry_url))
    out = outgoing(upload(number), "uploads", codec, settings.kafka.partitions, "test")
    async with borrowed(world.connections, commit="test") as conn:
        assert await accept(conn, upload(number), out)
        assert not await accept(conn, upload(number), out)
    assert out.value is not None
    return out.value


def rows(settings: Settings, query: str, *values: Any) -> list[Any]:
    """What the database says."""
    with psycopg.connect(settings.postgres_dsn) as conn:
        answer = conn.execute(query.encode(), values)
        return answer.fetchall() if answer.description else []


def show(settings: Settings, job: Job) -> None:
    """What the projector does with a job's facts."""
    with connection(settings.postgres_dsn) as conn:
        apply_facts(conn, 0, job.facts)


async def test_an_acceptance_that_is_not_in_the_log_is_produced_byte_for_byte(world: World, settings: Settings) -> None:
    value = await accepted(world, settings, 1)
    assert await repeat_acceptances(world) == 0  # it is too young
    rows(settings, _OLDER)
    assert await repeat_acceptances(world) == 1
    assert await repeat_acceptances(world) == 0  # not again at once
    (message,) = messages(settings.kafka, "uploads")
    assert message.value() == value and message.key() == job_id(1).encode()
    assert dict(message.headers() or ())["ce_type"] == b"palimpsest.UploadReceived"


async def test_an_acceptance_that_never_arrives_is_given_up_aloud_and_kept(world: World, settings: Settings) -> None:
    await accepted(world, settings, 1)
    for repeat in range(1, MAX_REPEATS + 1):
        rows(settings, _OLDER)
        assert await repeat_acceptances(world) == 1
        pause_s = 60 * 2 ** (repeat - 1)
        rows(settings, f"UPDATE accepted_requests SET repeated_at = now() - interval '{pause_s - 5} seconds'")
        assert await repeat_acceptances(world) == 0  # each time it waits twice as long
        assert REGISTRY.get_sample_value(_GIVEN_UP) == (repeat == MAX_REPEATS)
    rows(settings, _OLDER)
    assert await repeat_acceptances(world) == 0
    assert len(messages(settings.kafka, "uploads")) == MAX_REPEATS
    assert rows(settings, "SELECT job_id FROM accepted_requests") == [(job_id(1),)]

    show(settings, conversation(1))  # it was redriven
    assert await repeat_acceptances(world) == 0
    assert REGISTRY.get_sample_value(_GIVEN_UP) == 0
    assert rows(settings, "SELECT job_id FROM accepted_requests") == []


async def test_an_acceptance_in_the_views_is_forgotten(world: World, settings: Settings) -> None:
    await accepted(world, settings, 1)
    show(settings, conversation(1))
    rows(settings, _OLDER)
    assert await repeat_acceptances(world) == 0
    assert rows(settings, "SELECT 1 FROM accepted_requests") == []
    assert messages(settings.kafka, "uploads") == []


async def test_those_that_wait_keep_no_other_waiting(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptances, "BATCH", 2)
    for number in range(1, 6):
        await accepted(world, settings, number)
    rows(settings, _OLDER)
    assert await repeat_acceptances(world) == 5
    await accepted(world, settings, 6)
    show(settings, conversation(2))
    rows(settings, "UPDATE accepted_requests SET accepted_at = now() - make_interval(secs => 11 + repeats)")
    assert await repeat_acceptances(world) == 1
    assert len(messages(settings.kafka, "uploads")) == 6
    left = {job for (job,) in rows(settings, "SELECT job_id FROM accepted_requests")}
    assert left == {job_id(number) for number in (1, 3, 4, 5, 6)}


async def test_keys_expire(world: World, settings: Settings) -> None:
    rows(settings, _KEY, job_id(1))
    await repeat_acceptances(world)
    assert rows(settings, "SELECT count(*) FROM idempotency_keys") == [(1,)]
    rows(settings, "UPDATE idempotency_keys SET created_at = now() - interval '25 hours'")
    await repeat_acceptances(world)
    assert rows(settings, "SELECT count(*) FROM idempotency_keys") == [(0,)]


def stored(world: World, job: Job) -> set[str]:
    """Puts the objects of a job."""
    names = {"audio", "chunks/00000-a.flac", "chunks/00001-b.flac", "evidence/00000-a.bin"}
    for name in names:
        world.objects.put(f"acme/{job.job_id}/{name}", b"x")
    return names


def left(world: World, job: Job) -> set[str]:
    """Objects of a job that are still there."""
    prefix = f"acme/{job.job_id}/"
    return {key.removeprefix(prefix) for key in world.objects.keys(prefix)}


async def test_chunks_of_a_whole_transcript_go_and_the_recording_stays(world: World, settings: Settings) -> None:
    whole, running = conversation(1), conversation(2)
    running.facts = running.facts[:3]
    for job in (whole, running):
        stored(world, job)
        show(settings, job)
    assert await sweep_all(world) == 1
    assert left(world, whole) == {"audio"}
    assert left(world, running) == stored(world, running)
    assert await sweep_all(world) == 0  # it is noted


async def test_chunks_with_a_gap_wait_for_a_retry(world: World, settings: Settings) -> None:
    job = conversation(1)
    job.facts.pop()
    job.completed(["spk1"], gaps=[gap(1)])
    everything = stored(world, job)
    now = _now_ms()
    _moved(job, now)
    show(settings, job)
    assert await sweep_recent(world) == 0
    assert left(world, job) == everything
    show(settings, _retried(job))
    assert await sweep_all(world) == 1
    assert left(world, job) == {"audio"}


def _retried(job: Job) -> Job:
    job.fact(records.JobRetried, round=1, chunks=(1,))
    job.completed(["spk1"], round_=1)
    return job


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _moved(job: Job, now_ms: int) -> None:
    job.facts = [replace(fact, occurred_at=now_ms) for fact in job.facts]


@pytest.mark.parametrize(("retryable", "kept"), [(True, True), (False, False)])
async def test_chunks_of_a_failed_job_wait_only_for_a_retry_that_is_possible(
    world: World, settings: Settings, retryable: bool, kept: bool
) -> None:
    job = Job(1)
    job.accepted()
    job.fact(records.JobFailed, code="x", stage="transcribing", retryable=retryable, message="It broke.")
    _moved(job, _now_ms())
    everything = stored(world, job)
    show(settings, job)
    await sweep_recent(world)
    assert left(world, job) == (everything if kept else {"audio"})


async def test_chunks_of_a_cancelled_job_go_at_once(world: World, settings: Settings) -> None:
    job = Job(1)
    job.accepted()
    job.fact(records.JobCancelled, reason=None)
    stored(world, job)
    show(settings, job)
    await sweep_all(world)
    assert left(world, job) == {"audio"}


async def test_what_was_stored_after_the_first_sweep_goes_with_the_second(world: World, settings: Settings) -> None:
    job = Job(1)
    job.accepted()
    job.fact(records.JobCancelled, reason=None)
    _moved(job, _now_ms())
    stored(world, job)
    show(settings, job)
    assert await sweep_recent(world) == 1
    world.objects.put(f"acme/{job.job_id}/chunks/00002-late.flac", b"x")
    assert await sweep_recent(world) == 0
    assert await sweep_all(world) == 1
    assert left(world, job) == {"audio"}


async def test_each_partition_is_nudged_once_a_period(world: World, settings: Settings) -> None:
    assert await nudge(world) == settings.kafka.partitions
    assert await nudge(world) == 0
    found = messages(settings.kafka, "transcripts")
    assert {(m.partition(), m.key(), m.value()) for m in found} == {
        (p, nudge_key(p), None) for p in range(settings.kafka.partitions)
    }
    rows(settings, "UPDATE nudges SET nudged_at = now() - interval '2 hours' WHERE partition = 0")
    assert await nudge(world) == 1
