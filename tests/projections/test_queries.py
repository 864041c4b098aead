"""What the API asks of the views, over real rows."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from itertools import count
from typing import Any

import psycopg
import pytest

from projections.applying import apply_facts
from projections.history import queries as history
from projections.jobs import queries as jobs
from projections.transcripts import queries as transcripts
from schemas import records
from schemas.records import TranscriptRecord
from schemas.values import JobWarning, Word
from tests.projections.facts import BORN_MS, STEP_MS, Job, conversation, gap, segment, spoken

RIVAL = "rival"
NUMBERS = count(1)
AsyncConnection = psycopg.AsyncConnection[Any]
Show = Callable[[Sequence[TranscriptRecord]], None]


@pytest.fixture
async def conn(module_workspace: Mapping[str, str]) -> AsyncIterator[AsyncConnection]:
    """As the API has it."""
    async with await psycopg.AsyncConnection.connect(
        module_workspace["PALIMPSEST_POSTGRES_DSN"], autocommit=True
    ) as conn:
        yield conn


@pytest.fixture
def show(module_workspace: Mapping[str, str]) -> Show:
    """Puts facts into the views."""

    def apply(facts: Sequence[TranscriptRecord]) -> None:
        with psycopg.connect(module_workspace["PALIMPSEST_POSTGRES_DSN"]) as conn:
            apply_facts(conn, 0, facts)

    return apply


@pytest.fixture
def tenant() -> str:
    """A tenant without jobs."""
    return f"tenant-{next(NUMBERS)}"


def _new(tenant: str) -> Job:
    return Job(next(NUMBERS), tenant)


def _finished(tenant: str) -> Job:
    return conversation(next(NUMBERS), tenant)


async def _job(conn: AsyncConnection, job: Job) -> jobs.JobView:
    view = await jobs.get_job(conn, job.tenant_id, job.job_id)
    assert view is not None
    return view


async def test_a_job_from_its_first_fact_to_its_last(conn: AsyncConnection, show: Show, tenant: str) -> None:
    job = _new(tenant)
    assert await jobs.get_job(conn, tenant, job.job_id) is None
    job.accepted(vocabulary=("fox",))
    show(job.facts)
    view = await _job(conn, job)
    assert (view.status, view.stage, view.progress, view.chunks_planned) == ("queued", "preparing", 0.0, None)
    assert (view.created_at_ms, view.options.vocabulary, view.lane) == (BORN_MS + STEP_MS, ("fox",), "interactive")

    job.audio_ready(2)
    job.chunk(0, "the quick fox")
    show(job.facts)
    view = await _job(conn, job)
    assert (view.status, view.stage, view.progress, view.lane) == ("processing", "transcribing", 0.5, "batch")
    assert (view.partial_text, view.language, view.duration_ms) == ("the quick fox", "en", 60_000)
    assert view.warnings == (JobWarning(code="noisy", message="Much noise."),)
    assert view.eta_s == 0.0  # these facts are old: the second chunk is overdue

    job.chunk(1, failed=True)
    show(job.facts)
    view = await _job(conn, job)
    assert (view.stage, view.progress, view.gaps) == ("assembling", 1.0, (gap(1),))

    job.published([segment("s5-1", "the quick fox")])
    job.completed(gaps=[gap(1)])
    show(job.facts)
    view = await _job(conn, job)
    assert (view.status, view.stage, view.progress, view.partial_text) == ("completed", "done", 1.0, None)
    assert (view.segment_count, view.word_count, view.version) == (1, 3, 6)
    assert [speaker.label for speaker in view.speakers] == ["Speaker 1"]
    assert view.gaps == (gap(1),)


async def test_a_retry_counts_its_own_chunks(conn: AsyncConnection, show: Show, tenant: str) -> None:
    job = _new(tenant)
    job.accepted()
    job.audio_ready(3)
    for index in range(3):
        job.chunk(index, failed=index == 1)
    job.completed(gaps=[gap(1)])
    job.fact(records.JobRetried, round=1, chunks=(1,))
    show(job.facts)
    view = await _job(conn, job)
    assert (view.status, view.stage, view.progress) == ("processing", "transcribing", 0.0)
    assert (view.chunks_planned, view.chunks_completed, view.gaps) == (1, 0, (gap(1),))
    job.chunk(1, "at last", round_=1)
    show(job.facts)
    assert (await _job(conn, job)).progress == 1.0
    job.completed(round_=1)
    show(job.facts)
    view = await _job(conn, job)
    assert (view.status, view.gaps) == ("completed", ())


async def test_failed_and_cancelled_jobs_say_where_they_stopped(conn: AsyncConnection, show: Show, tenant: str) -> None:
    failed, cancelled = _new(tenant), _new(tenant)
    failed.accepted()
    failed.fact(records.JobFailed, code="not_audio", stage="preparing", retryable=False, message="No sound in it.")
    cancelled.accepted()
    cancelled.audio_ready(2)
    cancelled.fact(records.JobCancelled, reason=None)
    show([*failed.facts, *cancelled.facts])
    view = await _job(conn, failed)
    assert (view.status, view.stage) == ("failed", "preparing")
    assert view.failure == jobs.Failure(code="not_audio", stage="preparing", retryable=False, message="No sound in it.")
    view = await _job(conn, cancelled)
    assert (view.status, view.stage, view.failure) == ("cancelled", "transcribing", None)


async def test_jobs_are_listed_newest_first_in_pages(conn: AsyncConnection, show: Show, tenant: str) -> None:
    many = [_finished(tenant) for _ in range(5)]
    waiting = _new(tenant)
    waiting.accepted()
    show([fact for job in (*many, waiting, _finished(f"rival of {tenant}")) for fact in job.facts])
    seen: list[str] = []
    cursor = None
    while True:
        page = await jobs.list_jobs(conn, tenant, limit=2, after=cursor)
        seen += [job.job_id for job in page.jobs]
        cursor = page.next
        if cursor is None:
            break
    assert seen == sorted([job.job_id for job in (*many, waiting)], reverse=True)
    queued = await jobs.list_jobs(conn, tenant, status="queued")
    assert [job.job_id for job in queued.jobs] == [waiting.job_id]


async def test_a_tenant_sees_nothing_of_another(conn: AsyncConnection, show: Show, tenant: str) -> None:
    job = _finished(tenant)
    show(job.facts)
    assert await jobs.get_job(conn, RIVAL, job.job_id) is None
    assert (await jobs.list_jobs(conn, RIVAL)).jobs == ()
    assert await transcripts.whole(conn, RIVAL, job.job_id) is None
    assert (await transcripts.segments(conn, RIVAL, job.job_id)).segments == ()
    assert await transcripts.segment(conn, RIVAL, job.job_id, "s5-1") is None
    assert await transcripts.speakers(conn, RIVAL, job.job_id) == ()
    assert await history.since(conn, RIVAL, job.job_id) == ()
    assert await history.outcome(conn, RIVAL, job.facts[0].cause_id) is None


async def test_an_erased_job_is_gone_but_remembered(conn: AsyncConnection, show: Show, tenant: str) -> None:
    job = _finished(tenant)
    job.erased()
    show(job.facts)
    assert await jobs.get_job(conn, tenant, job.job_id) is None
    assert await jobs.is_erased(conn, tenant, job.job_id)
    assert not await jobs.is_erased(conn, RIVAL, job.job_id)
    assert await transcripts.whole(conn, tenant, job.job_id) is None
    assert [line.kind for line in await history.since(conn, tenant, job.job_id)] == ["JobErased"]


async def test_outstanding_minutes_count_open_jobs(conn: AsyncConnection, show: Show, tenant: str) -> None:
    running = _new(tenant)
    running.accepted()
    running.audio_ready(3)
    show([*running.facts, *_finished(tenant).facts])
    assert await jobs.outstanding_minutes(conn, tenant) == 1.5
    assert await jobs.outstanding_minutes(conn, RIVAL) == 0.0


async def test_names_and_merges_show_everywhere(conn: AsyncConnection, show: Show, tenant: str) -> None:
    job = _finished(tenant)
    job.fact(records.SpeakerNamed, speaker_id="spk2", name="Ada")
    job.fact(records.SpeakersMerged, speaker_id="spk1", into_speaker_id="spk2")
    show(job.facts)
    view = await transcripts.whole(conn, tenant, job.job_id)
    assert view is not None
    assert [(each.speaker_id, each.speaker) for each in view.segments] == [
        ("spk2", "Ada"),
        ("spk2", "Ada"),
        (None, None),
    ]
    assert {word.speaker_id for word in view.segments[0].words} == {"spk2"}
    assert [(each.speaker_id, each.name, each.label, each.speech_ms) for each in view.speakers] == [
        ("spk2", "Ada", "Speaker 2", 2_000)
    ]
    assert view.version == 8
    base = await transcripts.base_segment(conn, tenant, job.job_id, "s5-1")
    assert base is not None
    assert (base.revision, base.segment.speaker_id) == (5, "spk1")


async def test_corrections_show_and_removed_segments_do_not(conn: AsyncConnection, show: Show, tenant: str) -> None:
    job = _finished(tenant)
    job.fact(
        records.SegmentsRevised,
        removed=("s5-2",),
        segments=(segment("s5-1", "The slow fox"), segment("s7-1", "jumps", 2_000)),
    )
    show(job.facts)
    view = await transcripts.whole(conn, tenant, job.job_id)
    assert view is not None
    assert [(each.segment_id, each.revision, each.text) for each in view.segments] == [
        ("s5-1", 7, "The slow fox"),
        ("s7-1", 7, "jumps"),
        ("s5-3", 5, "Nobody knows why."),
    ]
    assert await transcripts.segment(conn, tenant, job.job_id, "s5-2") is None
    assert (await _job(conn, job)).segment_count == 3


async def test_segments_come_in_reading_order_in_pages(conn: AsyncConnection, show: Show, tenant: str) -> None:
    job = _finished(tenant)
    same_start = [segment(f"s7-{n}", f"part {n}", 20_000) for n in range(1, 13)]
    job.published(same_start)
    show(job.facts)
    seen: list[str] = []
    cursor = None
    while True:
        page = await transcripts.segments(conn, tenant, job.job_id, limit=4, after=cursor)
        seen += [each.segment_id for each in page.segments]
        cursor = page.next
        if cursor is None:
            break
    assert seen == ["s5-1", "s5-2", "s5-3", *(each.segment_id for each in same_start)]


async def test_what_cannot_be_stored_is_shown_as_a_mark(conn: AsyncConnection, show: Show, tenant: str) -> None:
    job = _new(tenant)
    job.accepted(file_name="a\x00b")
    job.published([segment("s2-1", "say \\u0000 or \x00")])
    job.completed()
    show(job.facts)
    view = await transcripts.whole(conn, tenant, job.job_id)
    assert view is not None
    assert view.segments[0].text == "say \\u0000 or \ufffd"
    expected: tuple[Word, ...] = spoken("say \\u0000 or \ufffd", 0, 4_000, "spk1")
    assert view.segments[0].words == expected
    assert (await _job(conn, job)).file_name == "a\ufffdb"


async def test_history_feeds_from_a_number_on(conn: AsyncConnection, show: Show, tenant: str) -> None:
    job = _finished(tenant)
    job.refused(cause_id=f"request of {tenant}")
    show(job.facts)
    lines = await history.since(conn, tenant, job.job_id, after_seq=4)
    assert [(line.seq, line.kind) for line in lines] == [
        (5, "SegmentsPublished"),
        (6, "TranscriptCompleted"),
        (7, "RequestRefused"),
    ]
    outcome = await history.outcome(conn, tenant, f"request of {tenant}")
    assert outcome is not None
    assert (outcome.kind, outcome.seq, outcome.code, outcome.message) == (
        "RequestRefused",
        7,
        "stale_revision",
        "Too late.",
    )
