"""Which processes on this machine belong to a stack, also when the supervisor that started them is gone.

In: a stack's home and the record of its supervisor. Out: their process ids, and their end.
Must not know what they do. All processes of a stack share the session that the supervisor leads; those that left
it still carry the stack's mark in their environment.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
MARK = "PALIMPSEST_STACK"
TERM_WAIT_S = 20.0
KILL_WAIT_S = 5.0
POLL_S = 0.05

# Fields of /proc/PID/stat, counted from the one after the name in brackets.
_STATE, _PARENT, _SESSION, _START = 0, 1, 3, 19
_ENDED_STATES = ("Z", "X")


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """A process that was started once: its id is only its own together with boot and start time."""

    pid: int
    start_ticks: int
    boot_id: str

    def is_alive(self) -> bool:
        return self.boot_id == _boot_id() and start_ticks(self.pid) == self.start_ticks


def record(pid: int, file: Path) -> Recorded:
    """Write down a process that was just started."""
    ticks = start_ticks(pid)
    recorded = Recorded(pid=pid, start_ticks=ticks if ticks is not None else -1, boot_id=_boot_id())
    half = file.with_suffix(".part")
    half.write_text(json.dumps({"pid": pid, "start_ticks": recorded.start_ticks, "boot_id": recorded.boot_id}))
    os.replace(half, file)
    return recorded


def recorded_in(file: Path) -> Recorded | None:
    """What `record` wrote, or None."""
    try:
        return Recorded(**json.loads(file.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def start_ticks(pid: int) -> int | None:
    """When a living process started, in clock ticks since boot; None if it has ended."""
    fields = _stat(pid)
    return None if fields is None or fields[_STATE] in _ENDED_STATES else int(fields[_START])


def family_bytes(parent: int) -> int:
    """The memory of a supervised program: its process and all its children, such as a model's.

    What a process shares (program files, PostgreSQL's buffers) counts once, as the parent's.
    """
    rows = {pid: fields for pid in _all_pids() if (fields := _stat(pid)) is not None}
    family = {parent}
    while grown := {pid for pid, fields in rows.items() if int(fields[_PARENT]) in family} - family:
        family |= grown
    pages = sum(_own_pages(pid) for pid in family) + _shared_pages(parent)
    return pages * os.sysconf("SC_PAGE_SIZE")


def _own_pages(pid: int) -> int:
    _, resident, shared = _memory(pid)
    return resident - shared


def _shared_pages(pid: int) -> int:
    return _memory(pid)[2]


def _memory(pid: int) -> tuple[int, int, int]:
    try:
        size, resident, shared, *_ = map(int, (PROC / str(pid) / "statm").read_text().split())
    except (FileNotFoundError, ProcessLookupError):
        return 0, 0, 0
    return size, resident, shared


def members(home: Path, leader: Recorded | None) -> set[int]:
    """Every living process of the stack at `home`."""
    session = _session_of(leader)
    mark = f"{MARK}={home}".encode()
    found = set()
    for pid in _all_pids():
        fields = _stat(pid)
        if fields is None or fields[_STATE] in _ENDED_STATES or pid == os.getpid():
            continue
        if (session is not None and int(fields[_SESSION]) == session) or _is_marked(pid, mark):
            found.add(pid)
    return found


def end_all(home: Path, leader: Recorded | None) -> int:
    """End every process of the stack, asking first; how many there were."""
    first = members(home, leader)
    for sign, patience_s in ((signal.SIGTERM, TERM_WAIT_S), (signal.SIGKILL, KILL_WAIT_S)):
        deadline = time.monotonic() + patience_s
        asked: set[int] = set()
        while (left := members(home, leader)) and time.monotonic() < deadline:
            for pid in left - asked:
                with suppress(ProcessLookupError):
                    os.kill(pid, sign)
            asked |= left
            time.sleep(POLL_S)
    return len(first)


def _session_of(leader: Recorded | None) -> int | None:
    """The stack's session, unless its number may belong to strangers by now.

    A session's number is not given out again while a process is left in it. So the number is ours if its leader
    still is, or if nobody has that process id.
    """
    if leader is None or leader.boot_id != _boot_id():
        return None
    return leader.pid if leader.is_alive() or start_ticks(leader.pid) is None else None


def _all_pids() -> Iterator[int]:
    for entry in PROC.iterdir():
        if entry.name.isdecimal():
            yield int(entry.name)


def _stat(pid: int) -> list[str] | None:
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _is_marked(pid: int, mark: bytes) -> bool:
    try:
        return mark in (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _boot_id() -> str:
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()
