"""Following a job: each fact once and in order, from wherever the client left off, until the end."""

import json
import threading
from typing import Any

import httpx
import pytest

from schemas import records
from tests.api.conftest import Server
from tests.api.test_problems import check_problem
from tests.deadline import until
from tests.projections.facts import Job, conversation


def read(answer: httpx.Response, into: list[dict[str, Any]]) -> None:
    """Events of a stream until it ends, as EventSource would dispatch them."""
    event: dict[str, Any] = {}
    for line in answer.iter_lines():
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            event[name] = value
        elif "data" in event:
            into.append({**event, "data": json.loads(event["data"])})
            event = {}


def events(client: httpx.Client, job_id: str, last: str | None = None) -> tuple[httpx.Response, list[dict[str, Any]]]:
    """All events of a job that has ended."""
    headers = {"Last-Event-ID": last} if last else {}
    found: list[dict[str, Any]] = []
    with client.stream("GET", f"/v1/transcriptions/{job_id}/events", headers=headers) as answer:
        read(answer, found)
    return answer, found


def test_a_finished_job_is_told_from_the_beginning(server: Server, client: httpx.Client) -> None:
    server.show(*(job := conversation(201)).facts)
    answer, found = events(client, job.job_id)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache" and answer.headers["x-accel-buffering"] == "no"
    *facts, done = found
    assert [event["id"] for event in facts] == [str(n) for n in range(1, len(job.facts) + 1)]
    assert [event["event"] for event in facts] == [type(fact).__name__ for fact in job.facts]
    assert facts[0]["data"]["kind"] == "JobAccepted" and facts[0]["data"]["actor"] == "assembler"
    assert {"seq", "kind", "occurred_at", "actor", "status", "stage", "progress"} <= set(facts[0]["data"])
    assert done["event"] == "done" and done["data"]["status"] == "completed" and "id" not in done


def test_a_client_that_comes_back_gets_the_rest(server: Server, client: httpx.Client) -> None:
    server.show(*(job := conversation(202)).facts)
    _, found = events(client, job.job_id, "3")
    assert [event.get("id") for event in found] == ["4", "5", "6", None]


def test_after_the_end_there_is_no_content(server: Server, client: httpx.Client) -> None:
    server.show(*(job := conversation(203)).facts)
    answer, found = events(client, job.job_id, str(len(job.facts)))
    assert (answer.status_code, found) == (204, [])


# The second one is a digit to Unicode, and no number.
@pytest.mark.parametrize("event_id", [b"x", "²".encode("latin-1")])
def test_a_foreign_event_id_is_refused(server: Server, client: httpx.Client, event_id: bytes) -> None:
    server.show(*(job := conversation(204)).facts)
    answer = client.get(f"/v1/transcriptions/{job.job_id}/events", headers={b"Last-Event-ID": event_id})
    check_problem(answer, 400, "invalid_request")


def test_a_running_job_is_told_as_it_goes_on(server: Server, client: httpx.Client) -> None:
    job = conversation(205)
    server.show(*job.facts[:2])
    found: list[dict[str, Any]] = []
    follower = threading.Thread(target=lambda: found.extend(events(client, job.job_id)[1]))
    with client.stream("GET", f"/v1/transcriptions/{job.job_id}/events") as answer:
        lines = answer.iter_lines()
        follower.start()
        for line in lines:
            if line == "id: 2":
                break
        server.show(job.facts[2])
        assert any(line == "id: 3" for line in lines)
    server.show(*job.facts[3:])
    follower.join(30)
    assert [event.get("id") for event in found] == ["1", "2", "3", "4", "5", "6", None]


def test_an_accepted_job_can_be_followed_before_any_view_knows_it(server: Server) -> None:
    with server.client("early") as client:
        upload = client.post("/v1/transcriptions", content=b"x").json()
        found: list[dict[str, Any]] = []
        follower = threading.Thread(target=lambda: found.extend(events(client, upload["id"])[1]))
        follower.start()
        job = _refused_job(upload["id"])
        server.show(*job.facts)
        follower.join(30)
        assert [event["event"] for event in found] == ["JobAccepted", "JobFailed", "done"]
        assert found[1]["data"]["code"] == "no_audio"


def _refused_job(job_id: str) -> Job:
    job = Job(206, "early")
    job.job_id = job_id
    job.accepted()
    job.fact(records.JobFailed, code="no_audio", stage="preparing", retryable=False, message="No sound in it.")
    return job


def test_an_erased_job_ends_its_followers(server: Server, client: httpx.Client) -> None:
    job = conversation(207)
    server.show(*job.facts[:2])
    found: list[dict[str, Any]] = []

    def follow() -> None:
        with client.stream("GET", f"/v1/transcriptions/{job.job_id}/events") as answer:
            read(answer, found)

    follower = threading.Thread(target=follow)
    follower.start()
    until(lambda: len(found) == 2, 20, "the follower has the first facts")
    job.erased()
    server.show(job.facts[-1])
    follower.join(30)
    assert found[-1]["event"] == "done" and found[-1]["data"]["status"] == "erased"
