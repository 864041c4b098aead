"""The assembling child: crashes cost tries, an absent store costs none, poison is given up at once."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

import pytest

from runtime.settings import Settings
from schemas.values import TranscriptionOptions
from streams.assembler.assembly import AssemblyTask, Wanted
from streams.assembler.child import Bench, Fetched, Hopeless, Made, NotNow, Outcome
from streams.assembler.completion import AssemblyFinished, AssemblyGivenUp
from streams.assembler.state import AssemblyOrder
from streams.assembler.workshop import (
    LIMIT_FLOOR_S,
    LIMIT_S_PER_AUDIO_S,
    LONGEST_LIMIT_S,
    MAX_TRIES,
    MAX_WAITING,
    ChildUnstartable,
    Finished,
    Target,
    Workshop,
    limit_s,
)
from tests.deadline import until

TIMEOUT_S = 180.0  # a fresh child imports much, and other tests may hold the machine
SETTINGS = Settings.read(
    {
        "PALIMPSEST_KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "PALIMPSEST_REGISTRY_URL": "http://127.0.0.1:1",
        "PALIMPSEST_POSTGRES_DSN": "postgresql://127.0.0.1:1/x?connect_timeout=2",
        "PALIMPSEST_OPENSEARCH_URL": "http://127.0.0.1:1",
        "PALIMPSEST_S3_ENDPOINT": "http://127.0.0.1:1",
        "PALIMPSEST_S3_ACCESS_KEY": "key",
        "PALIMPSEST_S3_SECRET_KEY": "secret",
    }
)


def task(job_id: str) -> AssemblyTask:
    return AssemblyTask(
        job_id=job_id,
        tenant_id="tenant",
        partition=0,
        order=AssemblyOrder(round=0, cause_id="cause", occurred_at=1),
        options=TranscriptionOptions(),
    )


def made(given: AssemblyTask) -> Made:
    finished = AssemblyFinished(
        job_id=given.job_id,
        tenant_id=given.tenant_id,
        order=given.order,
        segments=(),
        speakers=(),
        language=None,
        warnings=(),
    )
    return Made(finished=finished)


def clumsy_child(pipe: Pipe, settings: Settings) -> None:
    """Does what the task's name says. A new child knows nothing of what an earlier one was given."""
    pipe.send(None)
    waited = False
    while True:
        try:
            given: AssemblyTask = pipe.recv()
        except EOFError:
            return
        if given.job_id == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        if given.job_id == "slowly fetched":
            time.sleep(1.5)
        if given.job_id.startswith("/") and Path(given.job_id).stat().st_size <= MAX_TRIES:
            with Path(given.job_id).open("ab") as hanging:  # grows each time nothing can be fetched
                hanging.write(b".")
            threading.Event().wait()
        pipe.send(Fetched())
        if given.job_id == "hang":
            threading.Event().wait()
        outcome: Outcome = made(given)
        if given.job_id == "hopeless":
            outcome = Hopeless(message="Never.")
        elif given.job_id == "wait" and not waited:
            waited, outcome = True, NotNow(message="The store is away.")
        pipe.send(outcome)


@pytest.fixture
def workshop() -> Iterator[Workshop]:
    target: Target = clumsy_child
    made_ = Workshop(SETTINGS, target)
    yield made_
    made_.close()


def results(workshop: Workshop, count: int) -> list[Finished]:
    found: list[Finished] = []

    def probe() -> bool:
        found.extend(workshop.poll())
        return len(found) >= count

    until(probe, TIMEOUT_S, f"{count} outcomes")
    return found


def test_tasks_are_done_one_after_another(workshop: Workshop) -> None:
    for name in ("a", "b", "c"):
        workshop.submit(task(name))
    assert [done.input.job_id for done in results(workshop, 3)] == ["a", "b", "c"]


def test_a_task_that_kills_its_child_is_given_up_and_others_go_on(workshop: Workshop) -> None:
    workshop.submit(task("crash"))
    workshop.submit(task("after"))
    first, second = results(workshop, 2)
    assert first.input.job_id == "after" and isinstance(first.input, AssemblyFinished)
    assert isinstance(second.input, AssemblyGivenUp)
    assert MAX_TRIES > 1


def test_a_task_that_hangs_is_ended_and_others_wait_for_seconds(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.assembler.workshop.LIMIT_FLOOR_S", 0.5)
    workshop.submit(task("hang"))
    workshop.submit(task("after"))
    first, second = results(workshop, 2)
    assert isinstance(first.input, AssemblyFinished)
    assert second.input.job_id == "hang" and isinstance(second.input, AssemblyGivenUp)


def test_the_time_for_the_audio_begins_when_everything_is_there(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.assembler.workshop.LIMIT_FLOOR_S", 0.5)
    workshop.submit(task("slowly fetched"))
    [done] = results(workshop, 1)
    assert isinstance(done.input, AssemblyFinished)


def test_a_store_that_hangs_costs_no_try_however_often(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("streams.assembler.workshop.FETCH_LIMIT_S", 0.5)
    (hanging := tmp_path / "hanging").touch()
    workshop.submit(task(str(hanging)))
    workshop.submit(task("after"))
    first, second = results(workshop, 2)
    assert first.input.job_id == "after"
    assert isinstance(second.input, AssemblyFinished)
    assert hanging.stat().st_size > MAX_TRIES


def test_the_limit_of_a_task_follows_its_audio() -> None:
    hour = tuple(
        Wanted(index=n, round=0, chunk_sha256="", start_ms=n * 30_000, end_ms=(n + 1) * 30_000) for n in range(120)
    )
    assert limit_s(task("short"), 1) == limit_s(task("short"), 3) == LIMIT_FLOOR_S
    assert limit_s(replace(task("hour"), words=hour), 1) == LIMIT_FLOOR_S + LIMIT_S_PER_AUDIO_S * 3_600
    assert limit_s(replace(task("hour"), words=hour), 9) == LONGEST_LIMIT_S


def test_no_more_wait_than_there_is_room_for_and_more_is_wanted_in_time(workshop: Workshop) -> None:
    assert workshop.wanted == MAX_WAITING
    taken = [workshop.submit(task(f"job {n}")) for n in range(MAX_WAITING + 1)]
    assert taken == [True] * MAX_WAITING + [False]
    assert workshop.submit(task("job 0"))  # it is here already
    assert workshop.wanted == 0
    results(workshop, MAX_WAITING // 2)
    assert workshop.wanted == MAX_WAITING


def stillborn_child(pipe: Pipe, settings: Settings) -> None:
    """Ends before it can serve."""


def test_a_child_that_never_serves_ends_the_worker() -> None:
    workshop = Workshop(SETTINGS, stillborn_child)
    with pytest.raises(ChildUnstartable):
        results(workshop, 1)


def test_poison_is_given_up_at_once(workshop: Workshop) -> None:
    workshop.submit(task("hopeless"))
    [done] = results(workshop, 1)
    assert isinstance(done.input, AssemblyGivenUp) and done.input.message == "Never."


def test_an_absent_store_delays_but_costs_no_try(workshop: Workshop) -> None:
    workshop.submit(task("wait"))
    workshop.submit(task("meanwhile"))
    assert [done.input.job_id for done in results(workshop, 2)] == ["meanwhile", "wait"]


def test_the_same_order_is_queued_once_and_lost_partitions_are_forgotten(workshop: Workshop) -> None:
    workshop.submit(task("a"))
    workshop.submit(task("a"))
    workshop.submit(replace(task("elsewhere"), partition=1))
    workshop.keep_only(frozenset({0}))
    workshop.submit(task("last"))
    assert [done.input.job_id for done in results(workshop, 2)][-1] == "last"


def test_a_store_that_is_away_makes_the_real_child_wait() -> None:
    outcome = Bench(SETTINGS).run(task("job"))
    assert isinstance(outcome, NotNow)
