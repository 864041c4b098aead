"""The sampler finds what differs from the log, and nothing else."""

import psycopg
import pytest
from prometheus_client import REGISTRY

from projections import drift
from projections.applying import apply_facts
from projections.drift import Sampler, complete
from projections.projector import NAME
from projections.search.waiting import IndexLag
from runtime.postgres import connection, load_sql
from runtime.registry import Registry
from runtime.settings import Settings
from schemas import records
from schemas.codec import Codec
from schemas.identity import partition_for
from schemas.topics import TRANSCRIPTS
from tests.projections.facts import Job, conversation
from tests.projections.log import Log

TAMPERED = b"UPDATE transcript_segment SET text = 'something else' WHERE segment_id = 's5-1'"


@pytest.fixture
def sampler(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Sampler:
    """A sampler that looks at every job; never started."""
    monkeypatch.setattr(drift, "JOBS_PER_SAMPLE", 100)
    return Sampler(settings, Codec(Registry(settings.registry_url)), NAME)


def _project(settings: Settings, jobs: list[Job], behind: int = 0) -> None:
    """What the projector does with jobs that are the whole log of one partition, apart from the last records."""
    partition = partition_for(jobs[0].job_id.encode(), settings.kafka.partitions)
    facts = [fact for job in jobs for fact in job.facts]
    facts = facts[: len(facts) - behind]
    place = {"consumer": settings.kafka.group(NAME), "topic": TRANSCRIPTS, "partition": partition}
    with connection(settings.postgres_dsn) as conn:
        apply_facts(conn, partition, facts)
        conn.execute(load_sql("runtime")["start_offset"], place)
        conn.execute(load_sql("runtime")["move_offset"], place | {"next": len(facts), "expected": 0, "last": None})


def test_only_a_view_that_differs_from_the_log_is_drift(log: Log, settings: Settings, sampler: Sampler) -> None:
    assert sampler.sample() == []  # nothing was read yet
    job = conversation(1)
    log.write(job.facts)
    _project(settings, [job], behind=1)  # behind the log is not beside it
    assert sampler.sample() == []
    with psycopg.connect(settings.postgres_dsn) as conn:
        conn.execute(TAMPERED)
    assert sampler.sample() == [f"transcript_segment: {job.job_id}"]


def test_a_row_too_many_and_a_row_too_few_are_drift(log: Log, settings: Settings, sampler: Sampler) -> None:
    job = conversation(2)
    log.write(job.facts)
    _project(settings, [job])
    with psycopg.connect(settings.postgres_dsn) as conn:
        conn.execute(b"DELETE FROM history WHERE seq = 1")
        conn.execute(b"UPDATE transcript_speaker SET speaker_id = 'spk9' WHERE speaker_id = 'spk1'")
    assert sampler.sample() == [f"transcript_speaker: {job.job_id}", f"history: {job.job_id}"]


def test_a_job_counts_only_with_all_its_facts() -> None:
    whole, cut, erased = conversation(1), conversation(2), conversation(3)
    last = erased.fact(records.JobErased, erased_facts=len(erased.facts))
    found = complete([*whole.facts, *whole.facts[-2:], *cut.facts[1:], last])
    assert {job_id: len(facts) for job_id, facts in found.items()} == {
        whole.job_id: len(whole.facts),
        erased.job_id: 1,
    }


def test_the_index_is_as_far_behind_as_its_oldest_mark(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("projections.search.waiting.time.monotonic", lambda: now)
    lag = IndexLag()
    metric = "palimpsest_projection_lag_seconds"

    def looked(later_s: float) -> float | None:
        nonlocal now
        now += later_s
        with connection(settings.postgres_dsn) as conn:
            lag.look(conn, [0])
        return REGISTRY.get_sample_value(metric, {"view": "search"})

    assert looked(0) == 0
    with connection(settings.postgres_dsn) as conn:
        apply_facts(conn, 0, conversation(1).facts)
    assert looked(10) == 0
    assert looked(30) == 30
    with connection(settings.postgres_dsn) as conn:
        conn.execute(b"DELETE FROM search_pending")
    assert looked(10) == 0
