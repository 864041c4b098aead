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
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from local import pids, supervisor
from local.engines import ENGINES
from local.engines.program import Engine, Program, Site
from local.graph import Task, run_all
from local.layout import Layout
from local.passwords import ensure_secrets
from local.ports import OFFSETS, require_free
from local.processes import (
    PROCESSES,
    STOP_ORDER,
    Process,
    probe_process,
    process_program,
    process_url,
)
from local.provision import STEPS, Step
from local.readiness import await_ready
from local.settings import stack_settings

ENDED_WAIT_S = 10.0
# Others may not look into the folders; PostgreSQL's ordinary user must pass through to its own.
PASSABLE = 0o711


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


def _ports_of(names: Iterable[str]) -> list[str]:
    """The rows of the port table that these engines and processes take."""
    rows = [ENGINES[name].ports if name in ENGINES else (name,) for name in names]
    return [port for row in rows for port in row if port in OFFSETS]


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

    def start(self) -> None:
        """Start and make everything, as parallel as needs allow; if one part fails, leave nothing running."""
        self._run(self._engine_tasks(ENGINES), self._step_tasks(), self._process_tasks(PROCESSES))

    def start_engines(self, names: Iterable[str] = tuple(ENGINES)) -> None:
        """Start these engines; returns when all are ready."""
        self._run(self._engine_tasks(names))

    def provision(self) -> None:
        """Make topics, schemas, tables, bucket, models and the local key; the engines are ready."""
        self._run(self._step_tasks())

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

    def _ensure_supervisor(self, names: Iterable[str]) -> None:
        """A supervisor that knows every program; leftovers of an earlier one are ended first."""
        if self.is_running():
            return
        if ended := self.end_leftovers():
            self._say(f"ended {ended} processes that an earlier run left behind")
        require_free(_ports_of(names), self.port_base)
        for folder in (self.layout.data, self.layout.run, self.layout.logs, self.layout.temporary):
            folder.mkdir(mode=PASSABLE, parents=True, exist_ok=True)
        self._supervisor = supervisor.launch(self.layout, self._programs())

    def _programs(self) -> list[Program]:
        site, shared = self.site, self.shared_settings()
        engines = [engine.program(site) for engine in ENGINES.values()]
        return engines + [process_program(process, site, shared) for process in PROCESSES.values()]

    def _run(self, *groups: list[Task]) -> None:
        tasks = [task for group in groups for task in group]
        self._ensure_supervisor([task.name for task in tasks])
        run_all(tasks, on_failure=self.stop)

    def _engine_tasks(self, names: Iterable[str]) -> list[Task]:
        return [Task(name=name, run=partial(self._start_engine, ENGINES[name])) for name in names]

    def _step_tasks(self) -> list[Task]:
        return [Task(name=step.name, run=partial(self._make, step), needs=step.needs) for step in STEPS]

    def _process_tasks(self, names: Iterable[str]) -> list[Task]:
        wanted = [PROCESSES[name] for name in names]
        return [Task(name=row.name, run=partial(self._start_process, row), needs=row.needs) for row in wanted]

    def _start_engine(self, engine: Engine) -> None:
        if supervisor.state_of(self.layout, engine.name).pid == 0:
            engine.prepare(self.site)
        self._await_program(engine.name, partial(engine.probe, self.site), engine.ready_within_s)

    def _start_process(self, process: Process) -> None:
        self._await_program(process.name, partial(probe_process, process, self.site), process.ready_within_s)

    def _await_program(self, name: str, probe: Callable[[], None], within_s: float) -> None:
        begun = time.monotonic()
        supervisor.start_program(self.layout, name)
        await_ready(self.layout, name, probe, within_s)
        self._done(name, begun, self._address(name))

    def _make(self, step: Step) -> None:
        begun = time.monotonic()
        step.make(self.site, self.shared_settings())
        self._done(step.name, begun, "made")

    def _done(self, name: str, begun: float, what: str) -> None:
        self.seconds[name] = time.monotonic() - begun
        self._say(f"{name:<20}{self.seconds[name]:6.1f} s  {what}")

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
            memory_bytes=pids.family_bytes(state.pid) if state.pid else 0,
        )
