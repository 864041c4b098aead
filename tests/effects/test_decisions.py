"""Which objects go: never the recording of a job that is not erased, never what a retry may want."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from effects.erasures import Rewrite
from effects.sweeps.decisions import MS_PER_DAY, Ended, Keep, keep, prefixes, rewrite_due

JOBS = st.builds(
    Ended,
    job_id=st.uuids().map(str),
    tenant_id=st.just("acme"),
    status=st.sampled_from(["completed", "failed", "cancelled"]),
    seq=st.integers(1, 100),
    ended_at_ms=st.integers(0, 10 * MS_PER_DAY),
    open_ends=st.booleans(),
)


@given(JOBS, st.integers(0, 20 * MS_PER_DAY), st.integers(0, 10))
def test_no_job_loses_its_recording_by_ending(job: Ended, now_ms: int, retry_days: int) -> None:
    gone = prefixes(job, keep(job, now_ms, retry_days))
    audio = f"{job.tenant_id}/{job.job_id}/audio"
    assert not any(audio.startswith(prefix) for prefix in gone)
    assert all(prefix.startswith(f"{job.tenant_id}/{job.job_id}/") for prefix in gone)


@given(JOBS, st.integers(0, 20 * MS_PER_DAY), st.integers(1, 10))
def test_chunks_wait_for_a_retry_that_could_use_them(job: Ended, now_ms: int, retry_days: int) -> None:
    within = now_ms - job.ended_at_ms < retry_days * MS_PER_DAY
    wanted = job.open_ends and within and job.status in ("completed", "failed")
    assert (keep(job, now_ms, retry_days) is Keep.EVERYTHING) == wanted


@given(JOBS, st.integers(0, 20 * MS_PER_DAY), st.integers(0, 10))
def test_what_may_go_may_go_for_ever(job: Ended, now_ms: int, retry_days: int) -> None:
    first = keep(job, now_ms, retry_days)
    if first is not Keep.EVERYTHING:
        assert keep(job, now_ms + MS_PER_DAY, retry_days) is first


TIMES = st.datetimes(timezones=st.just(UTC))


@given(TIMES, TIMES, TIMES, TIMES)
def test_a_store_is_rewritten_until_a_rewrite_saw_all_that_was_forgotten(
    forgotten_at: datetime, through: datetime, done_at: datetime, now: datetime
) -> None:
    last = Rewrite(store="index", through=through, done_at=done_at)
    assert not rewrite_due(None, last, now, 10)
    assert rewrite_due(forgotten_at, None, now, 10)
    waited = (now - done_at).total_seconds() >= 10
    assert rewrite_due(forgotten_at, last, now, 10) == (waited and through <= forgotten_at)
