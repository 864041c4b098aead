"""Our processes as real child processes of a test, each with a log file, each of which may be killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from local.processes import PROCESSES, STOP_ORDER
from tests.deadline import until

READY_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 40.0
LOG_TAIL_BYTES = 4000


class Processes:
    """Starts, kills and stops processes of the table in `local.processes` with a test's own settings."""

    def __init__(self, settings: Mapping[str, str], folder: Path, ports: Mapping[str, int]) -> None:
        self._settings = settings
        self.folder = folder
        self._ports = ports
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self._ports['api']}"

    def start(self, *names: str) -> None:
        """Starts processes without waiting for them."""
        for name in names:
            process = PROCESSES[name]
            port = "PALIMPSEST_API_PORT" if name == "api" else "PALIMPSEST_HEALTH_PORT"
            environment = {**os.environ, **self._settings, **process.settings, port: str(self._ports[name])}
            environment["PALIMPSEST_INSTANCE_ID"] = name
            with self._log(name).open("ab") as log:
                self._running[name] = subprocess.Popen(
                    (sys.executable, *process.arguments),
                    env=environment,
                    stderr=log,
                    stdout=log,
                    start_new_session=True,
                )

    def wait_ready(self, *names: str) -> None:
        """Returns when each says it is ready; raises with the end of its log."""
        for name in names:
            until(partial(self._ready_or_ended, name), READY_TIMEOUT_S, f"{name} is ready")
            if (code := self._running[name].poll()) is not None:
                raise AssertionError(f"{name} ended with status {code}:\n{self.log_tail(name)}")

    def all_ready(self, *names: str) -> bool:
        """Whether each says now that it is ready."""
        return all(self._ready(name) for name in names)

    def signal(self, number: signal.Signals, *names: str) -> None:
        """Sends a signal to processes and their children: SIGSTOP pauses, SIGCONT wakes."""
        for name in names:
            os.killpg(self._running[name].pid, number)

    def kill(self, name: str) -> None:
        """kill -9 of the process and its children, as when a machine takes it away."""
        os.killpg(self._running[name].pid, signal.SIGKILL)
        self._running.pop(name).wait()

    def kill_and_restart(self, name: str) -> None:
        """What a supervisor makes of a kill -9."""
        self.kill(name)
        self.start(name)

    def end(self, name: str, timeout_s: float) -> int | None:
        """The exit status of a process that was asked to end; None, and it is killed, where it does not in time."""
        return _end(self._running.pop(name), timeout_s)

    def metric(self, name: str, metric: str) -> float:
        """The sum of a metric of a process over its labels."""
        text = httpx.get(f"http://127.0.0.1:{self._ports[name]}/metrics").text
        families = text_string_to_metric_families(text)
        return sum(sample.value for family in families for sample in family.samples if sample.name == metric)

    def ended(self) -> list[str]:
        """Processes that ended by themselves."""
        return [name for name, process in self._running.items() if process.poll() is not None]

    def restart_ended(self) -> list[str]:
        """Starts again what ended by itself, as the supervisor does, and names it."""
        names = self.ended()
        self.start(*names)
        return names

    def stop(self) -> None:
        """SIGTERM in the order of `down`; whatever is left after that is killed."""
        for names in STOP_ORDER:
            running = [self._running.pop(name) for name in names if name in self._running]
            for process in running:
                process.terminate()
            for process in running:
                _end(process, STOP_TIMEOUT_S)

    def log_tail(self, name: str) -> str:
        """The end of a process's log."""
        return self._log(name).read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _ready_or_ended(self, name: str) -> bool:
        return self._running[name].poll() is not None or self._ready(name)

    def _ready(self, name: str) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self._ports[name]}{PROCESSES[name].ready_path}").is_success
        except httpx.TransportError:
            return False


def _end(process: "subprocess.Popen[bytes]", timeout_s: float) -> int | None:
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return None
