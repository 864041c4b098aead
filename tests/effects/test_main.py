"""The process: one of several does the work, another takes over, and each ends when asked to."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg

from runtime.settings import Settings
from tests.deadline import until
from tests.e2e.conftest import free_ports
from tests.effects.test_retention import aged
from tests.effects.test_sweeps import show

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0


class Effects:
    """An effects process and its log."""

    def __init__(self, environment: Mapping[str, str], log: Path, port: int) -> None:
        self.log = log
        self._url = f"http://127.0.0.1:{port}"
        values = {**os.environ, **environment, "PALIMPSEST_HEALTH_PORT": str(port), "PALIMPSEST_NUDGE_PERIOD_S": "1"}
        with log.open("ab") as out:
            self.process = subprocess.Popen((sys.executable, "-m", "effects.main"), env=values, stdout=out, stderr=out)

    def healthy(self) -> bool:
        """Whether it says so."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            return httpx.get(self._url + "/healthz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def leads(self) -> bool:
        """Whether it does the work."""
        return "leadership.won" in self.log.read_text()


@contextmanager
def two(environment: Mapping[str, str], folder: Path) -> Iterator[tuple[Effects, Effects]]:
    """Two processes on one database."""
    ports = free_ports(["one", "two"])
    both = [Effects(environment, folder / f"{name}.log", port) for name, port in ports.items()]
    try:
        until(lambda: all(each.healthy() for each in both), READY_TIMEOUT_S, "both are healthy")
        yield both[0], both[1]
    finally:
        for each in both:
            each.process.kill()
            each.process.wait(STOP_TIMEOUT_S)


def test_one_leads_and_the_other_takes_over(workspace: Mapping[str, str], tmp_path: Path) -> None:
    with two(workspace, tmp_path) as (first, second):
        until(lambda: first.leads() or second.leads(), READY_TIMEOUT_S, "one leads")
        leader, follower = (first, second) if first.leads() else (second, first)
        assert not follower.leads()
        until(lambda: _nudged(workspace), READY_TIMEOUT_S, "the leader nudges")
        leader.process.kill()
        until(follower.leads, READY_TIMEOUT_S, "the other leads")
        follower.process.send_signal(signal.SIGTERM)
        assert follower.process.wait(STOP_TIMEOUT_S) == 0, follower.log.read_text()


def _nudged(workspace: Mapping[str, str]) -> bool:
    with psycopg.connect(workspace["PALIMPSEST_POSTGRES_DSN"]) as conn:
        row = conn.execute("SELECT count(*) FROM nudges").fetchone()
    return bool(row and row[0] == int(workspace["PALIMPSEST_PARTITIONS"]))


def test_other_tables_are_refused(workspace: Mapping[str, str], tmp_path: Path) -> None:
    with psycopg.connect(workspace["PALIMPSEST_POSTGRES_DSN"]) as conn:
        conn.execute("DELETE FROM schema_version")
    log = tmp_path / "effects.log"
    effects = Effects(workspace, log, 0)
    assert effects.process.wait(READY_TIMEOUT_S) == 1
    assert "schema apply" in log.read_text()


def test_a_store_that_says_nothing_holds_nobody_back(
    settings: Settings, workspace: Mapping[str, str], tmp_path: Path
) -> None:
    show(settings, aged(1, days=30))  # something to delete: no other sweep is sure to ask the store
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        log = tmp_path / "effects.log"
        effects = Effects({**workspace, "PALIMPSEST_S3_ENDPOINT": endpoint}, log, 0)
        try:
            silent.settimeout(READY_TIMEOUT_S)
            with silent.accept()[0]:
                effects.process.send_signal(signal.SIGTERM)
                assert effects.process.wait(STOP_TIMEOUT_S) == 0, log.read_text()
        finally:
            effects.process.kill()
            effects.process.wait(STOP_TIMEOUT_S)
