"""supervisord as the parent of every engine and process.

In: programs. Out: one configuration file, a running supervisor, and its answers as records.
Must not know what the programs are for.
"""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
import time
import xmlrpc.client
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from local import pids
from local.engines.program import Program
from local.errors import BadSetting, NotReady, NotRunning
from local.layout import Layout

START_WAIT_S = 15.0
END_WAIT_S = 60.0
POLL_S = 0.05
LOG_BYTES = 20_000_000
LOG_TAIL_LINES = 30
LOG_TAIL_BYTES = 64_000

_HEADER = """\
[supervisord]
nodaemon=true
{user}
logfile={log}
logfile_maxbytes=0
pidfile={run}/supervisord.pid
childlogdir={logs}
identifier=palimpsest
minfds=1024

[unix_http_server]
file={socket}
chmod=0600

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""

_PROGRAM = """
[program:{name}]
command={command}
environment={environment}
directory={directory}
autostart=false
autorestart=true
startsecs={start_s}
startretries={start_tries}
stopsignal={stop_signal}
stopwaitsecs={stop_wait_s}
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={log}
stdout_logfile_maxbytes={log_bytes}
stdout_logfile_backups=1
"""

_SPAWNED = re.compile(r"spawned: '([^']+)' with pid \d+")


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgramState:
    """What the supervisor says of one program; `state` is its own word (RUNNING, FATAL, …)."""

    name: str
    state: str
    pid: int
    since_s: float
    reason: str


def render_config(layout: Layout, programs: Sequence[Program]) -> str:
    """The supervisor's configuration file."""
    header = _HEADER.format(
        user="user=root" if os.geteuid() == 0 else "",
        log=layout.supervisor_log,
        run=layout.run,
        logs=layout.logs,
        socket=layout.supervisor_socket,
    )
    return header + "".join(_render_program(layout, program) for program in programs)


def _render_program(layout: Layout, program: Program) -> str:
    environment = {**program.environment, pids.MARK: str(layout.home)}
    return _PROGRAM.format(
        name=program.name,
        command=" ".join(_quoted(word) for word in program.command),
        environment=",".join(f"{name}={_quoted_value(name, value)}" for name, value in sorted(environment.items())),
        directory=layout.checkout,
        start_s=program.start_s,
        start_tries=program.start_tries,
        stop_signal=program.stop_signal,
        stop_wait_s=program.stop_wait_s,
        log=layout.log_of(program.name),
        log_bytes=LOG_BYTES,
    )


def _quoted(word: str) -> str:
    """One word for a supervisor file: percent signs are its expansions, the quotes are a shell's."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _quoted_value(name: str, value: str) -> str:
    """One environment value: supervisor reads these without any escape, so quotes cannot be carried."""
    if '"' in value or "\n" in value:
        raise BadSetting(f"{name} must hold neither a double quote nor a line break.")
    return '"' + value.replace("%", "%%") + '"'


def launch(layout: Layout, programs: Sequence[Program]) -> subprocess.Popen[bytes]:
    """Start a supervisor in a session of its own, away from the terminal's Ctrl-C, and wait until it answers."""
    layout.supervisor_config.touch(mode=0o600)
    layout.supervisor_config.write_text(render_config(layout, programs))
    layout.supervisor_socket.unlink(missing_ok=True)
    layout.supervisor_log.unlink(missing_ok=True)
    with (layout.logs / "supervisord.out").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(layout.supervisor_config)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=layout.checkout,
            start_new_session=True,
        )
    pids.record(process.pid, layout.supervisor_record)
    deadline = time.monotonic() + START_WAIT_S
    while not is_running(layout):
        if process.poll() is not None or time.monotonic() > deadline:
            raise NotReady(f"The supervisor did not start.\n{log_tail(layout.logs / 'supervisord.out')}")
        time.sleep(POLL_S)
    return process


@contextmanager
def _server(layout: Layout) -> Iterator[Any]:
    proxy = xmlrpc.client.ServerProxy(
        "http://localhost", transport=SupervisorTransport(None, None, f"unix://{layout.supervisor_socket}")
    )
    try:
        with proxy as server:
            yield server.supervisor
    except (OSError, http.client.HTTPException) as exc:
        raise NotRunning("The local stack is not running; start it with `palimpsest up`.") from exc


def is_running(layout: Layout) -> bool:
    """Whether this home's supervisor is alive and answers."""
    recorded = pids.recorded_in(layout.supervisor_record)
    if recorded is None or not recorded.is_alive():
        return False
    try:
        with _server(layout) as server:
            return bool(server.getState()["statename"] == "RUNNING")
    except NotRunning:
        return False


def states(layout: Layout) -> dict[str, ProgramState]:
    """Every program the supervisor knows; NotRunning if there is none."""
    with _server(layout) as server:
        rows = server.getAllProcessInfo()
    return {row["name"]: _state(row) for row in rows}


def state_of(layout: Layout, name: str) -> ProgramState:
    """One program's state."""
    with _server(layout) as server:
        return _state(server.getProcessInfo(name))


def _state(row: dict[str, Any]) -> ProgramState:
    since_s = float(row["now"] - row["start"]) if row["statename"] == "RUNNING" else 0.0
    return ProgramState(
        name=row["name"], state=row["statename"], pid=row["pid"], since_s=since_s, reason=row["spawnerr"]
    )


def start_program(layout: Layout, name: str) -> None:
    """Start one program without waiting; one that runs already stays as it is."""
    with _server(layout) as server:
        _unless_fault(server.startProcess, name, "ALREADY_STARTED")


def stop_programs(layout: Layout, names: Sequence[str]) -> None:
    """Ask these programs to end, all at once, and wait until they have."""
    with _server(layout) as server:
        for name in names:
            _unless_fault(server.stopProcess, name, "NOT_RUNNING")
    deadline = time.monotonic() + END_WAIT_S
    while time.monotonic() < deadline:
        known = states(layout)
        if all(known[name].pid == 0 for name in names if name in known):
            return
        time.sleep(POLL_S)


def _unless_fault(call: Any, name: str, allowed: str) -> None:
    """An RPC that may find its work already done."""
    try:
        call(name, False)
    except xmlrpc.client.Fault as fault:
        if not fault.faultString.startswith((allowed, "BAD_NAME")):
            raise


def shutdown(layout: Layout) -> None:
    """End the supervisor itself; what it still runs it ends first."""
    recorded = pids.recorded_in(layout.supervisor_record)
    with suppress(NotRunning), _server(layout) as server:
        server.shutdown()
    deadline = time.monotonic() + END_WAIT_S
    while recorded is not None and recorded.is_alive() and time.monotonic() < deadline:
        time.sleep(POLL_S)


def restarts(layout: Layout) -> dict[str, int]:
    """How often each program was started again since the supervisor started, from its own log."""
    try:
        text = layout.supervisor_log.read_text(errors="replace")
    except FileNotFoundError:
        return {}
    return {name: count - 1 for name, count in Counter(_SPAWNED.findall(text)).items()}


def log_tail(file: Path, lines: int = LOG_TAIL_LINES) -> str:
    """The last lines of a log, or a word that there is none."""
    try:
        with file.open("rb") as log:
            log.seek(max(0, file.stat().st_size - LOG_TAIL_BYTES))
            text = log.read().decode(errors="replace")
    except FileNotFoundError:
        return f"({file} was not written)"
    return "\n".join(text.splitlines()[-lines:]) or f"({file} is empty)"
