"""A stack's processes are found and ended also without their supervisor; strangers never are."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from local import pids

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
# A leader that starts one child in its session, says the child's id and waits.
LEADER = [
    sys.executable,
    "-c",
    "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    "print(child.pid, flush=True); time.sleep(60)",
]


@pytest.fixture
def leader() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(LEADER, stdout=subprocess.PIPE, text=True, start_new_session=True)
    yield process
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_what_is_recorded_is_read_again(tmp_path: Path) -> None:
    recorded = pids.record(os.getpid(), tmp_path / "supervisor.json")
    assert recorded.is_alive()
    assert pids.recorded_in(tmp_path / "supervisor.json") == recorded


def test_no_record_or_a_broken_one_is_none(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text('{"pid": 1}')
    assert pids.recorded_in(tmp_path / "broken.json") is None
    assert pids.recorded_in(tmp_path / "missing.json") is None


def test_orphans_of_a_killed_leader_are_ended(tmp_path: Path, leader: subprocess.Popen[str]) -> None:
    recorded = pids.record(leader.pid, tmp_path / "supervisor.json")
    orphan = int(_first_line(leader))
    leader.kill()
    leader.wait()
    assert pids.members(tmp_path, recorded) == {orphan}
    assert pids.end_all(tmp_path, recorded) == 1
    assert pids.start_ticks(orphan) is None


def test_a_marked_process_that_left_the_session_is_ended(tmp_path: Path) -> None:
    environment = {**os.environ, pids.MARK: str(tmp_path)}
    with subprocess.Popen(SLEEP, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True) as stray:
        assert _first_line(stray) == "up"
        assert pids.members(tmp_path, None) == {stray.pid}
        assert pids.members(tmp_path / "other", None) == set()
        pids.end_all(tmp_path, None)


def test_a_process_that_got_the_recorded_id_later_is_left_alone(tmp_path: Path, leader: subprocess.Popen[str]) -> None:
    recorded = pids.record(leader.pid, tmp_path / "supervisor.json")
    assert _first_line(leader)
    earlier = replace(recorded, start_ticks=recorded.start_ticks - 1)
    another_boot = replace(recorded, boot_id="another boot")
    assert not earlier.is_alive()
    assert not another_boot.is_alive()
    assert pids.members(tmp_path, earlier) == set()
    assert pids.members(tmp_path, another_boot) == set()
    assert recorded.is_alive()
