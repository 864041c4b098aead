"""What the API says in the end against the fold of the log (I13, I23, I27): to its owner everything, to others nothing.

In: the API with a key for each tenant, folded jobs. Out: violations.
"""

from collections.abc import Iterator
from typing import Any

import httpx

from tests.chaos.checker.evidence import Evidence
from tests.chaos.checker.fold import Job
from tests.chaos.checker.violation import Violation

TIMEOUT_S = 60.0
FOLLOWED_JOBS = 12


def violations(evidence: Evidence) -> Iterator[Violation]:
    """Wrong and foreign answers."""
    keys: dict[str, str] = evidence.world["keys"]
    clients = {
        tenant: httpx.Client(
            base_url=evidence.world["api"],
            headers={"Authorization": f"Bearer {key}"},
            timeout=TIMEOUT_S,
            trust_env=False,
        )
        for tenant, key in keys.items()
    }
    for number, job in enumerate(evidence.jobs.values()):
        for text in _own(clients[job.tenant_id], job):
            yield Violation(invariant="I15", subject=job.job_id, text=text)
        for tenant, client in clients.items():
            if tenant != job.tenant_id:
                status = client.get(f"/v1/transcriptions/{job.job_id}").status_code
                if status != 404:
                    text = f"{tenant} got {status} for a job of {job.tenant_id}"
                    yield Violation(invariant="I27", subject=job.job_id, text=text)
        if number < FOLLOWED_JOBS and job.erased is None:
            for text in _events(clients[job.tenant_id], job):
                yield Violation(invariant="I23", subject=job.job_id, text=text)


def _own(client: httpx.Client, job: Job) -> Iterator[str]:
    answer = client.get(f"/v1/transcriptions/{job.job_id}")
    if job.erased is not None:
        if answer.status_code != 410:
            yield f"is erased, and its owner got {answer.status_code}"
        return
    if answer.status_code != 200:
        yield f"its owner got {answer.status_code}"
        return
    said = answer.json()
    if (said["status"], said["version"]) != (job.status, job.seq):
        yield f"is shown as {said['status']} at version {said['version']}, not {job.status} at {job.seq}"
    if job.status != "completed":
        return
    transcript = client.get(f"/v1/transcriptions/{job.job_id}/transcript", params={"format": "json"}).json()
    shown = {s["id"]: (s["revision"], s["text"], s["speaker"]) for s in transcript["segments"]}
    live = job.live().items()
    if shown != {name: (s.seq, s.fields["text"], job.called(s.fields["speaker_id"])) for name, s in live}:
        yield "its transcript is shown otherwise"


def _events(client: httpx.Client, job: Job) -> Iterator[str]:
    """All events after the half of them, as a client that comes back reads them."""
    half = job.seq // 2
    path = f"/v1/transcriptions/{job.job_id}/events"
    heard: list[tuple[int, str]] = []
    with client.stream("GET", path, headers={"Last-Event-ID": str(half)}) as answer:
        event: dict[str, Any] = {}
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if line and name:
                event[name] = value
            elif "event" in event:
                if event["event"] == "done":
                    break
                heard.append((int(event["id"]), event["event"]))
                event = {}
    wanted = [(fact["seq"], kind) for kind, fact in job.facts if fact["seq"] > half]
    if heard != wanted:
        yield f"after event {half} a client heard {heard}, not {wanted}"
