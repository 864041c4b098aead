"""A stack of its own: started, killed at every point, stopped without a trace. Two quick engines stand for all."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from local import pids, supervisor
from local.engines import postgres
from local.errors import NotReady, NotRunning, PortTaken
from local.ports import LOOPBACK, OFFSETS
from local.stack import ProgramStatus, Stack
from tests.deadline import until

QUICK = ("postgres", "s3")
WAIT_S = 20.0


def _free_port_base() -> int:
    """A base whose ports for the quick engines are free now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return min(port, 65_000) - OFFSETS["postgres"]


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Stack]:
    # PostgreSQL's ordinary user must be able to pass through, which pytest's folders do not allow.
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o711)
    stack = Stack(tmp_path / "home", _free_port_base())
    yield stack
    stack.stop()


def _row(stack: Stack, name: str) -> ProgramStatus:
    return next(row for row in stack.status() if row.name == name)


def _members(stack: Stack) -> set[int]:
    return pids.members(stack.layout.home, pids.recorded_in(stack.layout.supervisor_record))


def test_data_survives_and_no_process_stays(quick: Stack) -> None:
    quick.start_engines(QUICK)
    with psycopg.connect(postgres.dsn(quick.site)) as connection:
        connection.execute("CREATE TABLE kept (word text)")
    assert _row(quick, "postgres").memory_bytes > 0
    quick.stop()
    assert _members(quick) == set()
    with pytest.raises(NotRunning):
        quick.status()
    quick.start_engines(QUICK)
    with psycopg.connect(postgres.dsn(quick.site)) as connection:
        connection.execute("SELECT * FROM kept")
    quick.stop()
    quick.wipe()
    assert not quick.layout.data.exists()


def test_a_killed_engine_comes_back_and_is_counted(quick: Stack) -> None:
    quick.start_engines(QUICK)
    first = _row(quick, "s3").pid
    os.kill(first, signal.SIGKILL)
    until(lambda: _row(quick, "s3").state == "RUNNING" and _row(quick, "s3").pid != first, WAIT_S, "s3 is back")
    assert (_row(quick, "s3").restarts, _row(quick, "postgres").restarts) == (1, 0)


def test_orphans_of_a_killed_supervisor_are_ended_by_the_next_start(quick: Stack) -> None:
    quick.start_engines(QUICK)
    recorded = pids.recorded_in(quick.layout.supervisor_record)
    assert recorded is not None
    orphan = _row(quick, "s3").pid
    os.kill(recorded.pid, signal.SIGKILL)
    until(lambda: not quick.is_running(), WAIT_S, "the supervisor is gone")
    assert pids.start_ticks(orphan) is not None
    quick.start_engines(QUICK)
    assert pids.start_ticks(orphan) is None
    assert _row(quick, "s3").pid != orphan


def test_down_ends_what_a_killed_supervisor_left(quick: Stack) -> None:
    quick.start_engines(QUICK)
    recorded = pids.recorded_in(quick.layout.supervisor_record)
    assert recorded is not None
    os.kill(recorded.pid, signal.SIGKILL)
    Stack(quick.layout.home, quick.port_base).stop()
    assert _members(quick) == set()


def test_starting_again_changes_nothing(quick: Stack) -> None:
    quick.start_engines(QUICK)
    before = [(row.name, row.pid) for row in quick.status()]
    Stack(quick.layout.home, quick.port_base).start_engines(QUICK)
    assert [(row.name, row.pid) for row in quick.status()] == before


def test_a_taken_port_stops_the_start_before_anything_runs(quick: Stack) -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, quick.site.port("postgres")))
        taken.listen()
        with pytest.raises(PortTaken, match="for postgres is taken"):
            quick.start_engines(QUICK)
    assert not quick.is_running()


def test_a_failed_engine_is_named_with_the_end_of_its_log(quick: Stack) -> None:
    quick.start_engines(["postgres"])
    quick.stop()
    (quick.layout.data / "postgres" / "cluster" / "PG_VERSION").write_text("9\n")
    with pytest.raises(NotReady) as failed:
        quick.start_engines(QUICK)
    assert "postgres ended while starting" in str(failed.value)
    assert "incompatible with server" in str(failed.value)
    assert not quick.is_running()
    assert _members(quick) == set()


def test_secrets_are_for_the_owner_only(quick: Stack) -> None:
    quick.start_engines(["s3"])
    files = (quick.layout.secrets, quick.layout.supervisor_config, quick.layout.supervisor_socket)
    assert [file.stat().st_mode & 0o077 for file in files] == [0, 0, 0]
    assert supervisor.is_running(quick.layout)
