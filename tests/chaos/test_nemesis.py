"""The nemesis: from when on a target's recovery counts, and the last fault of a run. Nothing is killed here."""

import signal
import time
from collections.abc import Iterator, Sequence
from typing import Any, cast

import pytest

from local import supervisor
from tests.chaos import nemesis
from tests.chaos.nemesis import Nemesis
from tests.chaos.plan import Fault, Kind
from tests.chaos.world import TWIN, World

SLOW_S = 0.6
TARGETS = ("assembler", "api", "kafka")


class Calls:
    """Stands where world and supervisor do: everybody is ready at once, and who is asked to stop takes its time."""

    layout = None

    def __init__(self) -> None:
        self.signals: list[tuple[str, signal.Signals, bool]] = []
        self.stopped: list[str] = []

    def signal(self, name: str, sign: signal.Signals, *, family: bool) -> bool:
        self.signals.append((name, sign, family))
        return True

    def pid(self, _: str) -> int:
        return 1

    def is_ready(self, _: str) -> bool:
        return True

    def stop(self, _: object, names: Sequence[str]) -> None:
        time.sleep(SLOW_S)
        self.stopped += names


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[Calls]:
    calls = Calls()
    running = supervisor.ProgramState(name="", state="RUNNING", pid=1, since_s=1.0, reason="")
    monkeypatch.setattr(supervisor, "stop_programs", calls.stop)
    monkeypatch.setattr(supervisor, "start_program", lambda *_: None)
    monkeypatch.setattr(supervisor, "state_of", lambda *_: running)
    monkeypatch.setattr(nemesis, "TWIN_STAYS_S", SLOW_S)
    yield calls


def _done(calls: Calls, kind: Kind) -> Nemesis:
    done = Nemesis(cast(World, cast(Any, calls)), [Fault(at_s=0.0, target="assembler", kind=kind, duration_s=0.1)])
    done.run(time.monotonic(), 2.5 * SLOW_S)
    return done


def test_a_pause_is_over_when_the_target_wakes_and_its_twin_stays_for_a_while(calls: Calls) -> None:
    [recovery] = _done(calls, Kind.PAUSE).deeds.recoveries
    assert recovery.seconds is not None and recovery.seconds < SLOW_S
    assert calls.stopped == ["assembler" + TWIN]


def test_a_restart_counts_from_the_moment_at_which_it_is_asked_for(calls: Calls) -> None:
    [recovery] = _done(calls, Kind.RESTART).deeds.recoveries
    assert recovery.seconds is not None and recovery.seconds >= SLOW_S


def test_the_last_fault_kills_everybody_at_once_and_ends_what_lasts(calls: Calls) -> None:
    paused = Fault(at_s=0.0, target="kafka", kind=Kind.PAUSE, duration_s=600.0)
    last = Nemesis(cast(World, cast(Any, calls)), [paused])
    last.run(time.monotonic(), SLOW_S)
    before_s = time.monotonic()
    assert before_s <= last.finish(TARGETS) <= time.monotonic()
    last.await_recovery()
    assert {(name, signal.SIGKILL, True) for name in TARGETS} <= set(calls.signals)
    assert ("kafka", signal.SIGCONT, True) in calls.signals
    assert sorted(r.target for r in last.deeds.recoveries if r.kind == Kind.KILL_ALL) == sorted(TARGETS)
    assert len(last.deeds.recoveries) == len(TARGETS)
