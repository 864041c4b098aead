"""From POST to a completed transcript, as a client sees it: one job of one chunk at a time.

In: the address and key of a running system with the stub engines. Out: figures. Speaks HTTP only.
"""

import time

import httpx

from bench.recordings import noise
from bench.report import Figure, percentile

AIM_P50_S = 1.2
RECORDING_S = 5.0
JOB_TIMEOUT_S = 60.0
POLL_S = 0.02
WARM_UP_JOBS = 3


class JobNotCompleted(Exception):
    """A job failed or took too long; the message says which."""


def measure(api_url: str, key: str, jobs: int) -> list[Figure]:
    """Seconds of each job, after a few that warm up every process."""
    with httpx.Client(base_url=api_url, headers={"Authorization": f"Bearer {key}"}, timeout=JOB_TIMEOUT_S) as client:
        times = [_one(client, number) for number in range(jobs + WARM_UP_JOBS)][WARM_UP_JOBS:]
    group = f"time to a transcript: {jobs} jobs of one chunk, one at a time, stub engines"
    accepted = [accepted_s for accepted_s, _ in times]
    completed = [completed_s for _, completed_s in times]
    return [
        Figure(group=group, name="POST → 202, p50", value=percentile(accepted, 0.5), unit="s"),
        Figure(
            group=group,
            name="POST → completed, p50",
            value=percentile(completed, 0.5),
            unit="s",
            aim=AIM_P50_S,
            at_least=False,
        ),
        Figure(group=group, name="POST → completed, p99", value=percentile(completed, 0.99), unit="s"),
        Figure(group=group, name="POST → completed, worst", value=max(completed), unit="s"),
    ]


def _one(client: httpx.Client, number: int) -> tuple[float, float]:
    """Seconds until it was accepted, and until it was completed."""
    sound = noise(number, RECORDING_S)
    started = time.monotonic()
    answer = client.post(
        "/v1/transcriptions",
        params={"file_name": f"bench-{number}.flac"},
        content=sound,
        headers={"Content-Type": "audio/flac"},
    )
    answer.raise_for_status()
    accepted_s = time.monotonic() - started
    job = answer.json()
    while job["status"] != "completed":
        if job["status"] in ("failed", "cancelled") or time.monotonic() - started > JOB_TIMEOUT_S:
            raise JobNotCompleted(f"job {job['id']} is {job['status']}: {job['failure']}")
        time.sleep(POLL_S)
        job = client.get(f"/v1/transcriptions/{job['id']}").raise_for_status().json()
    return accepted_s, time.monotonic() - started
