"""The whole stack on one machine: engines and our processes, started, watched and stopped.

In: a home folder and a port base. Out: running programs, their settings and their state.
Must not know how one engine works (local/engines) nor what our processes do (each is a command).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from local import pids, supervisor
from local.engines import ENGINES
from local.engines.program import Engine, Program, Site
from local.layout import Layout
from local.ports import require_free
from local.processes import (
    PROCESSES,
    STOP_ORDER,
    Process,
    probe_process,
    process_program,
    process_settings,
    process_url,
)
from local.readiness import await_ready
from local.secrets import ensure_secrets
from local.settings import stack_settings

ENDED_WAIT_S = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgramStatus:
    """One row of `status`."""

    name: str
    state: str
    address: str
    pid: int
    running_s: float
    restarts: int
    memory_bytes: int


def _silent(_: str) -> None:
    """The default listener: a test has no terminal."""


class Stack:
    """One stack. `overrides` replace settings of our processes (a test's topic prefix, the stub engines)."""

    def __init__(
        self,
        home: Path,
        port_base: int,
        overrides: Mapping[str, str] | None = None,
        say: Callable[[str], None] = _silent,
    ) -> None:
        self.layout = Layout(home=home.resolve())
        self.port_base = port_base
        self.overrides = dict(overrides or {})
        self.seconds: dict[str, float] = {}
        self._say = say
        self._supervisor: subprocess.Popen[bytes] | None = None

    @property
    def site(self) -> Site:
        secrets = ensure_secrets(self.layout.secrets)
        return Site(layout=self.layout, port_base=self.port_base, secrets=secrets)

    def start_engines(self, names: Iterable[str] = tuple(ENGINES)) -> None:
        """Start these engines in parallel; returns when all are ready, else raises and leaves nothing running."""
        engines = [ENGINES[name] for name in names]
        self._ensure_supervisor([port for engine in engines for port in engine.ports])
        self._in_parallel([partial(self._start_engine, engine) for engine in engines])

    def start_processes(self, names: Iterable[str] = tuple(PROCESSES)) -> None:
        """Start these processes of ours in parallel; the engines they need are ready."""
        processes = [PROCESSES[name] for name in names]
        self._ensure_supervisor([process.name for process in processes])
        self._in_parallel([partial(self._start_process, process) for process in processes])

    def settings_for(self, process: str) -> dict[str, str]:
        """The settings of one process, as environment variables."""
        return process_settings(PROCESSES[process], self.site, self.shared_settings())

    def shared_settings(self) -> dict[str, str]:
        """The settings that all our processes share."""
        return stack_settings(self.site, os.environ, self.overrides)

    def is_running(self) -> bool:
        """Whether this home has a live supervisor."""
        return supervisor.is_running(self.layout)

    def status(self) -> list[ProgramStatus]:
        """Every engine and process; NotRunning if the stack is down."""
        restarts = supervisor.restarts(self.layout)
        states = supervisor.states(self.layout)
        return [self._status_of(name, states[name], restarts.get(name, 0)) for name in (*ENGINES, *PROCESSES)]

    def stop(self) -> None:
        """Stop everything in order, api first and engines last; no process is left behind."""
        if self.is_running():
            for names in (*STOP_ORDER, tuple(ENGINES)):
                supervisor.stop_programs(self.layout, names)
            supervisor.shutdown(self.layout)
        self.end_leftovers()
        self.layout.supervisor_record.unlink(missing_ok=True)
        self.layout.supervisor_socket.unlink(missing_ok=True)

    def end_leftovers(self) -> int:
        """End what an earlier run left behind, also after its supervisor was killed; how many processes."""
        ended = pids.end_all(self.layout.home, pids.recorded_in(self.layout.supervisor_record))
        if self._supervisor is not None:
            self._supervisor.wait(ENDED_WAIT_S)
            self._supervisor = None
        return ended

    def wipe(self) -> None:
        """Remove what the stack wrote; what was installed stays."""
        for folder in (self.layout.data, self.layout.run, self.layout.logs, self.layout.temporary):
            shutil.rmtree(folder, ignore_errors=True)

    def _ensure_supervisor(self, ports: Iterable[str]) -> None:
        """A supervisor that knows every program; leftovers of an earlier one are ended first."""
        if self.is_running():
            return
        if ended := self.end_leftovers():
            self._say(f"ended {ended} processes that an earlier run left behind")
        require_free(ports, self.port_base)
        for folder in (self.layout.data, self.layout.run, self.layout.logs, self.layout.temporary):
            folder.mkdir(parents=True, exist_ok=True)
        self._supervisor = supervisor.launch(self.layout, self._programs())

    def _programs(self) -> list[Program]:
        site, shared = self.site, self.shared_settings()
        engines = [engine.program(site) for engine in ENGINES.values()]
        return engines + [process_program(process, site, shared) for process in PROCESSES.values()]

    def _start_engine(self, engine: Engine) -> None:
        site = self.site
        begun = time.monotonic()
        if supervisor.state_of(self.layout, engine.name).pid == 0:
            engine.prepare(site)
            prepared = time.monotonic()
            supervisor.start_program(self.layout, engine.name)
        else:
            prepared = begun
        await_ready(self.layout, engine.name, partial(engine.probe, site), engine.ready_within_s)
        self.seconds[engine.name] = time.monotonic() - prepared
        self._say(f"{engine.name:<20} ready after {time.monotonic() - begun:5.1f} s  {self._address(engine.name)}")

    def _start_process(self, process: Process) -> None:
        site = self.site
        begun = time.monotonic()
        supervisor.start_program(self.layout, process.name)
        await_ready(self.layout, process.name, partial(probe_process, process, site), process.ready_within_s)
        self.seconds[process.name] = time.monotonic() - begun
        self._say(f"{process.name:<20} ready after {self.seconds[process.name]:5.1f} s")

    def _in_parallel(self, calls: list[Callable[[], None]]) -> None:
        """Run all; if one fails, stop the stack and raise its error."""
        with ThreadPoolExecutor(max(1, len(calls))) as pool:
            try:
                for done in as_completed([pool.submit(call) for call in calls]):
                    done.result()
            except BaseException:
                # Stopping also ends the waiting of the others.
                self.stop()
                raise

    def _address(self, name: str) -> str:
        if name == "postgres":
            return f"postgresql://{self.site.address(name)}"
        if name == "kafka":
            return self.site.address(name)
        if name in PROCESSES and name != "api":
            return process_url(PROCESSES[name], self.site)
        return f"http://{self.site.address(name)}"

    def _status_of(self, name: str, state: supervisor.ProgramState, restarts: int) -> ProgramStatus:
        return ProgramStatus(
            name=name,
            state=state.state,
            address=self._address(name),
            pid=state.pid,
            running_s=state.since_s,
            restarts=restarts,
            memory_bytes=pids.resident_bytes(state.pid) if state.pid else 0,
        )
