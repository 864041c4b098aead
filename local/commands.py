"""The commands that run the local stack: up, down, status, logs, lock.

In: arguments and the environment. Out: text for a person, or JSON. Must not know how anything is started.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from local.errors import LocalError, NotRunning
from local.layout import layout_from, port_base_from

if TYPE_CHECKING:
    from local.stack import ProgramStatus, Stack

Command = Callable[[argparse.Namespace], int]
BYTES_PER_MB = 1_000_000


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to a parser; each sets `run`, a function of the arguments that returns an exit status."""
    up = _add(subparsers, "up", run_up, "start the whole stack on this machine")
    up.add_argument("--engines-only", action="store_true", help="start Kafka, registry, databases and S3, not ours")
    up.add_argument("--foreground", action="store_true", help="stay, and stop everything on Ctrl-C")
    down = _add(subparsers, "down", run_down, "stop the local stack, in order")
    down.add_argument("--wipe", action="store_true", help="also remove its data, logs and keys")
    status = _add(subparsers, "status", run_status, "show every engine and process of the local stack")
    status.add_argument("--json", action="store_true", help="as JSON, with the API's address and the local key")
    logs = _add(subparsers, "logs", run_logs, "show the logs of the local stack")
    logs.add_argument("name", nargs="?", help="one engine or process; all if not given")
    logs.add_argument("-f", "--follow", action="store_true", help="go on as lines are written")


def _add(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser], name: str, run: Command, sentence: str
) -> argparse.ArgumentParser:
    parser = subparsers.add_parser(name, help=sentence, description=sentence[0].upper() + sentence[1:] + ".")
    parser.set_defaults(run=run)
    return parser


def stack_from_environment() -> Stack:
    """The stack that the environment names."""
    # Here, not above: it loads the engines' drivers, and `palimpsest search` mounts these commands too.
    from local.stack import Stack

    return Stack(layout_from(os.environ).home, port_base_from(os.environ), say=_say)


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


def run_up(arguments: argparse.Namespace) -> int:
    stack = stack_from_environment()
    signal.signal(signal.SIGTERM, raise_interrupt)
    try:
        if arguments.engines_only:
            stack.start_engines()
        else:
            stack.start()
        if arguments.foreground:
            hold()
    except KeyboardInterrupt:
        _say("stopping")
        stack.stop()
    return 0


def raise_interrupt(_signal: int, _frame: FrameType | None) -> None:
    """A signal handler: a request to end is like Ctrl-C."""
    raise KeyboardInterrupt


def hold() -> None:
    """Stay until Ctrl-C or a request to end raises KeyboardInterrupt."""
    _say("running; Ctrl-C stops everything")
    while True:
        signal.pause()


def run_down(arguments: argparse.Namespace) -> int:
    stack = stack_from_environment()
    stack.stop()
    if arguments.wipe:
        stack.wipe()
    _say("stopped" + (" and wiped" if arguments.wipe else ""))
    return 0


def run_status(arguments: argparse.Namespace) -> int:
    stack = stack_from_environment()
    try:
        rows = stack.status()
    except NotRunning as exc:
        if arguments.json:
            print(json.dumps({"running": False, "home": str(stack.layout.home)}))
        else:
            _say(str(exc))
        return 3
    print(json.dumps(_status_document(stack, rows), indent=2) if arguments.json else _status_table(rows))
    return 0


def _status_document(stack: Stack, rows: list[ProgramStatus]) -> dict[str, object]:
    key_file = stack.layout.local_key
    return {
        "running": True,
        "home": str(stack.layout.home),
        "api_url": f"http://{stack.site.address('api')}",
        "api_key": key_file.read_text().strip() if key_file.exists() else None,
        "programs": [asdict(row) for row in rows],
    }


def _status_table(rows: list[ProgramStatus]) -> str:
    lines = [f"{'NAME':<20}{'STATE':<10}{'PID':>8}{'RESTARTS':>10}{'MEMORY':>9}  ADDRESS"]
    for row in rows:
        memory = f"{row.memory_bytes / BYTES_PER_MB:.0f} MB"
        lines.append(f"{row.name:<20}{row.state:<10}{row.pid:>8}{row.restarts:>10}{memory:>9}  {row.address}")
    return "\n".join(lines)


def run_logs(arguments: argparse.Namespace) -> int:
    """Hand over to tail, which knows how to follow files that rotate."""
    logs = layout_from(os.environ).logs
    files = [logs / f"{arguments.name}.log"] if arguments.name else sorted(logs.glob("*.log"))
    missing = [file for file in files if not file.exists()]
    if missing or not files:
        raise NotRunning(f"There is no log {missing[0] if missing else 'in ' + str(logs)}.")
    return subprocess.run(_tail(files, arguments.follow), check=False).returncode


def _tail(files: list[Path], follow: bool) -> list[str]:
    return ["tail", "-n", "200", *(["-F"] if follow else []), "--", *map(str, files)]


def run_lock(_arguments: argparse.Namespace) -> int:
    from local.lock import write_lock

    write_lock()
    return 0


def main() -> int:
    """`python -m local`."""
    parser = argparse.ArgumentParser(prog="python -m local", description="Palimpsest on one machine.")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    register(subparsers)
    _add(subparsers, "lock", run_lock, "write local/artifacts.lock: resolve and hash every engine and model file")
    arguments = parser.parse_args()
    run: Command = arguments.run
    try:
        return run(arguments)
    except LocalError as exc:
        _say(f"error: {exc}")
        return 1
