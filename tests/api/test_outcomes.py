"""Waiting for outcomes: nothing is missed, also when the listening connection breaks; and what waits gets an answer."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

import httpx

from api.outcomes import Outcomes, first_outcome
from runtime import postgres
from tests.api.conftest import Server
from tests.deadline import until
from tests.projections.facts import conversation

# Of this database alone: others work on the same server.
BREAK = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND (query LIKE 'LISTEN%' OR query = 'SELECT 1') AND pid <> pg_backend_pid()
"""


async def nothing() -> str | None:
    """An outcome that is not there."""
    return None


async def _connected(outcomes: Outcomes) -> None:
    await asyncio.to_thread(until, lambda: outcomes.connected, 10, "the process listens")


def _notify(dsn: str, cause_id: str) -> None:
    with postgres.connection(dsn) as conn:
        conn.execute("SELECT pg_notify('palimpsest_outcome', %s)", (cause_id,))


async def test_only_whoever_waits_for_a_cause_wakes(workspace: Mapping[str, str]) -> None:
    dsn = workspace["PALIMPSEST_POSTGRES_DSN"]
    outcomes = Outcomes(dsn)
    running = asyncio.create_task(outcomes.run())
    await _connected(outcomes)
    with outcomes.expecting("mine") as mine, outcomes.expecting("other") as other, outcomes.following() as all_:
        await asyncio.to_thread(_notify, dsn, "mine")
        async with asyncio.timeout(10):
            await mine.wait()
            await all_.wait()
        assert not other.is_set()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_after_a_reconnect_every_waiter_looks_again(workspace: Mapping[str, str]) -> None:
    dsn = workspace["PALIMPSEST_POSTGRES_DSN"]
    outcomes = Outcomes(dsn)
    running = asyncio.create_task(outcomes.run())
    await _connected(outcomes)
    with outcomes.expecting("mine") as mine:
        await asyncio.to_thread(_execute, dsn, BREAK)
        async with asyncio.timeout(20):
            await mine.wait()  # nobody announced anything: the new connection woke it
    assert outcomes.connected
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


def _execute(dsn: str, query: str) -> None:
    with postgres.connection(dsn) as conn:
        conn.execute(query.encode())


async def test_a_last_look_is_taken_when_the_time_is_over() -> None:
    looks = 0

    async def read() -> str | None:
        nonlocal looks
        looks += 1
        return "there"

    assert await first_outcome(asyncio.Event(), read, 0.01) == "there"
    assert looks == 1
    assert await first_outcome(asyncio.Event(), nothing, 0.01) is None


def test_without_an_outcome_the_answer_says_where_to_look(server: Server, client: httpx.Client) -> None:
    """Nobody reads the log of this server, so no request has an outcome."""
    server.show(*(job := conversation(301)).facts)
    own = f"/v1/transcriptions/{job.job_id}"
    answer = client.patch(f"{own}/segments/s5-1", json={"text": "new"}, headers={"If-Match": '"5"'})
    assert answer.status_code == 202, answer.text
    assert answer.json() == {
        "status_url": f"{own}/segments/s5-1",
        "request_id": answer.headers["x-request-id"],
    }
    assert answer.headers["location"] == f"{own}/segments/s5-1"
    assert client.put(f"{own}/speakers/spk1", json={"name": "Ada"}).json()["status_url"] == f"{own}/speakers"
    cancelled = client.post(f"{own}/cancel")
    assert (cancelled.status_code, cancelled.json()["id"]) == (202, job.job_id)
    erased = client.delete(own)
    assert (erased.status_code, erased.json()["status_url"]) == (202, own)
