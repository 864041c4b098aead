"""Our processes, started for a measurement with settings of their own, stopped in order at its end.

In: settings and names from the table of `local.processes`. Out: running processes, their ports and memory.
Must not know what is measured.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from bench.resources import cpu_seconds, proportional_bytes
from local.ports import LOOPBACK
from local.processes import PROCESSES, STOP_ORDER
from local.settings import STUB_ENGINES

# Of our own lines only what went wrong: a measurement starts thousands of jobs.
STUB = {**STUB_ENGINES, "PALIMPSEST_LOG_LEVEL": "warning"}
READY_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 40.0
POLL_S = 0.1
LOG_TAIL_BYTES = 3_000


class NotReady(Exception):
    """A process ended or did not get ready; the message has the end of its log."""


class Running:
    """Started processes by name."""

    def __init__(self, folder: Path, ports: Mapping[str, int]) -> None:
        self._folder = folder
        self._ports = ports
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def api_url(self) -> str:
        """Address of the API."""
        return f"http://{LOOPBACK}:{self._ports['api']}"

    def start(self, name: str, settings: Mapping[str, str]) -> None:
        """Starts one without waiting for it."""
        process = PROCESSES[name]
        port = "PALIMPSEST_API_PORT" if name == "api" else "PALIMPSEST_HEALTH_PORT"
        own = {port: str(self._ports[name]), "PALIMPSEST_INSTANCE_ID": name}
        with self._log(name).open("wb") as log:
            self._started[name] = subprocess.Popen(
                (sys.executable, *process.arguments),
                env={**os.environ, **settings, **process.settings, **own},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def await_ready(self, name: str) -> None:
        """Returns when the process says it is ready; raises NotReady."""
        url = f"http://{LOOPBACK}:{self._ports[name]}{PROCESSES[name].ready_path}"
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not _answers(url):
            if self._started[name].poll() is not None or time.monotonic() > deadline:
                tail = self._log(name).read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")
                raise NotReady(f"{name} did not get ready; the end of its log:\n{tail}")
            time.sleep(POLL_S)

    def pids(self) -> dict[str, int]:
        """Process ids by name."""
        return {name: process.pid for name, process in list(self._started.items())}

    def memory_bytes(self) -> dict[str, int]:
        """Memory of each process with its children."""
        return {name: proportional_bytes(process.pid) for name, process in self._started.items()}

    def cpu_seconds(self) -> dict[str, float]:
        """Processor time of each process with its children, so far."""
        return {name: cpu_seconds(process.pid) for name, process in self._started.items()}

    def end(self, name: str) -> None:
        """SIGTERM for one that is not needed any more."""
        process = self._started.pop(name)
        process.terminate()
        _await_end(process)

    def stop(self) -> None:
        """SIGTERM in the order of `down`; whatever is left after that is killed."""
        for names in STOP_ORDER:
            running = [self._started[name] for name in names if name in self._started]
            for process in running:
                process.terminate()
            for process in running:
                _await_end(process)

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5.0).is_success
    except httpx.TransportError:
        return False


def _await_end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _free_ports(names: Sequence[str]) -> dict[str, int]:
    with ExitStack() as held:
        listeners = {name: held.enter_context(socket.socket()) for name in names}
        for listener in listeners.values():
            listener.bind((LOOPBACK, 0))
        return {name: listener.getsockname()[1] for name, listener in listeners.items()}


@contextmanager
def running(names: Sequence[str], settings: Mapping[str, str], logs: Path) -> Iterator[Running]:
    """These processes, ready; stopped at the end."""
    logs.mkdir(parents=True, exist_ok=True)
    processes = Running(logs, _free_ports(names))
    try:
        for name in names:
            processes.start(name, settings)
        for name in names:
            processes.await_ready(name)
        yield processes
    finally:
        processes.stop()
