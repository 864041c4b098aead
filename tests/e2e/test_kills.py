"""kill -9 of each process in the middle of a batch: every job completes, nothing is doubled, views equal the log."""

import numpy as np
import pytest

from local.processes import PROCESSES
from tests.deadline import until
from tests.e2e.client import Client, Json
from tests.e2e.conftest import Pipeline
from tests.e2e.history import History
from tests.e2e.recordings import SAMPLE_RATE_HZ, flac

JOBS_PER_KILL = 4
JOB_S = 75
BATCH_TIMEOUT_S = 150.0
VIEWS_TIMEOUT_S = 60.0


def _recording(number: int) -> bytes:
    """A minute of noise that no other job has, so that no two jobs share a chunk."""
    random = np.random.default_rng(number)
    return flac((random.normal(size=JOB_S * SAMPLE_RATE_HZ) * 3000).astype(np.int16))


@pytest.fixture(scope="module")
def client(stub_pipeline: Pipeline) -> Client:
    return stub_pipeline.client()


def _submit(client: Client, number: int) -> str:
    """Submits as a careful client does: the same key again until the answer is clear."""

    def attempt() -> str:
        try:
            key = f"recording-{number}"
            job = client.submit(f"{key}.flac", _recording(number), idempotency_key=key, vocabulary="stub:slow=0.1")
        except (client.transport_error, AssertionError):
            return ""
        return str(job["id"])

    return until(attempt, BATCH_TIMEOUT_S, f"recording {number} is accepted")


def _ended(client: Client, pipeline: Pipeline, job_ids: list[str]) -> list[Json]:
    def probe() -> list[Json] | None:
        pipeline.processes.restart_ended()
        try:
            jobs = [client.job(job_id) for job_id in job_ids]
        except (client.transport_error, AssertionError):
            return None
        return jobs if all(job["status"] == "completed" for job in jobs) else None

    return until(probe, BATCH_TIMEOUT_S, "all jobs complete")


def test_every_job_survives_a_kill_of_each_process(stub_pipeline: Pipeline, client: Client) -> None:
    job_ids: list[str] = []
    for name in PROCESSES:
        job_ids += [_submit(client, len(job_ids) + i) for i in range(JOBS_PER_KILL)]
        stub_pipeline.processes.kill_and_restart(name)
    jobs = _ended(client, stub_pipeline, job_ids)
    assert len({job["id"] for job in jobs}) == JOBS_PER_KILL * len(PROCESSES)
    assert all(job["gaps"] == [] for job in jobs), [job["warnings"] for job in jobs]

    history = History(stub_pipeline.settings)
    assert history.violations == []
    assert set(history.facts) == set(job_ids)
    for job_id in job_ids:
        assert history.status(job_id) == "completed"
        shown = {s["id"]: (s["revision"], s["text"]) for s in client.transcript(job_id)["segments"]}
        assert shown == history.segments(job_id)
    _until_index_equals(client, history)


def _until_index_equals(client: Client, history: History) -> None:
    expected = sum(len(history.segments(job_id)) for job_id in history.facts)
    until(lambda: _indexed(client, history) == expected, VIEWS_TIMEOUT_S, f"{expected} segments are indexed")


def _indexed(client: Client, history: History) -> int:
    words = {text.split()[0] for job_id in history.facts for _, text in history.segments(job_id).values()}
    found = set()
    for word in words:
        cursor = ""
        while True:
            page = client.search_page(word, cursor)
            found |= {hit["segment_id"] + hit["job_id"] for hit in page["items"]}
            cursor = page["next_cursor"] or ""
            if not cursor:
                break
    return len(found)
