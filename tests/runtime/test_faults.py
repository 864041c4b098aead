"""Crash points: nothing without orders, each order once, in the way it says, whoever is started again."""

import signal
import subprocess
import sys
import timeit
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime import faults
from runtime.errors import Unavailable
from runtime.faults import crash_point
from runtime.settings import Faults, SettingsError

PROGRAM = """
import os, sys
from runtime import faults, telemetry
from runtime.settings import Faults
telemetry.configure("tester", "error")
faults.arm("tester", Faults.read(os.environ))
for number in (1, 2, 3):
    try:
        with faults.crash_point("thing.do"):
            print(number, flush=True)
    except Exception as error:
        print(type(error).__name__, flush=True)
"""


def _run(folder: Path, fault: str = "") -> tuple[int, list[str]]:
    environment = {"PALIMPSEST_FAULT_DIR": str(folder), "PALIMPSEST_FAULT": fault}
    ended = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
    return ended.returncode, ended.stdout.split()


@pytest.fixture
def armed(tmp_path: Path) -> Iterator[Path]:
    """This process is told to look for orders in a folder."""
    faults.arm("tester", Faults(folder=tmp_path, given=()))
    yield tmp_path
    faults._faults = None


@pytest.mark.parametrize(
    ("fault", "status", "done"),
    [
        ("tester:thing.do:before:2", -signal.SIGKILL, ["1"]),
        ("tester:thing.do:after:2", -signal.SIGKILL, ["1", "2"]),
        ("tester:thing.do:failed:2", 0, ["1", "2", "Unavailable", "3"]),
        ("tester:other.do:before:1,another:thing.do:before:1", 0, ["1", "2", "3"]),
    ],
)
def test_an_order_is_carried_out_once(tmp_path: Path, fault: str, status: int, done: list[str]) -> None:
    assert _run(tmp_path, fault) == (status, done)
    assert _run(tmp_path, fault) == (0, ["1", "2", "3"]), "it does not fire again after a restart"


def test_an_order_may_come_while_the_process_runs(armed: Path) -> None:
    with crash_point("thing.do"):
        pass
    (armed / "tester:thing.do:failed:1").touch()
    with pytest.raises(LookupError), crash_point("thing.do", LookupError):
        pass
    assert [path.name for path in armed.iterdir()] == ["tester:thing.do:failed:1.fired"]


def test_what_did_not_happen_is_not_reported_as_done_and_failed(armed: Path) -> None:
    (armed / "tester:thing.do:failed:1").touch()
    with pytest.raises(ZeroDivisionError), crash_point("thing.do"):
        raise ZeroDivisionError
    assert [path.name for path in armed.iterdir()] == ["tester:thing.do:failed:1"]


def test_an_order_waits_for_a_call_that_takes_effect(armed: Path) -> None:
    (armed / "tester:thing.do:failed:1").touch()
    with pytest.raises(ZeroDivisionError), crash_point("thing.do"):
        raise ZeroDivisionError
    with pytest.raises(Unavailable), crash_point("thing.do"):
        pass


@pytest.mark.parametrize(
    "values",
    [
        {"PALIMPSEST_FAULT": "a:b:before:1"},
        {"PALIMPSEST_FAULT": "a:b:during:1", "PALIMPSEST_FAULT_DIR": "/tmp"},
        {"PALIMPSEST_FAULT": "a:b:before:0", "PALIMPSEST_FAULT_DIR": "/tmp"},
    ],
)
def test_senseless_orders_are_refused(values: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        Faults.read(values)


def test_without_orders_it_is_the_same_empty_thing_every_time() -> None:
    assert crash_point("thing.do") is crash_point("other.do", Unavailable)
    assert timeit.timeit(lambda: crash_point("thing.do"), number=10_000) / 10_000 < 5e-6
