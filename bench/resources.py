"""What a process and its children take: memory and processor time.

In: process ids. Out: bytes and seconds. Must not know whose they are.
"""

import os
from pathlib import Path

PROC = Path("/proc")
KIB = 1024


def proportional_bytes(pid: int) -> int:
    """Proportional set size of a process and its descendants: shared pages count in parts, so that sums are true."""
    return _own(pid) + sum(proportional_bytes(child) for child in _children(pid))


def open_files(pid: int) -> int:
    """Open file descriptors of a process and its descendants."""
    return sum(_open_files(one) for one in family(pid))


def _open_files(pid: int) -> int:
    try:
        return len(os.listdir(PROC / str(pid) / "fd"))
    except OSError:
        return 0


def family(pid: int) -> list[int]:
    """A process and its living descendants, parents first."""
    return [pid, *(one for child in _children(pid) for one in family(child))]


def cpu_seconds(pid: int) -> float:
    """Processor time so far of a process and its living descendants, and of those it has waited for."""
    return _cpu(pid) + sum(cpu_seconds(child) for child in _children(pid))


def _cpu(pid: int) -> float:
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    # utime, stime, and both of waited-for children.
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def _own(pid: int) -> int:
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0  # it has ended
    return next((int(line.split()[1]) * KIB for line in lines if line.startswith("Pss:")), 0)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for task in (PROC / str(pid) / "task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    except OSError:
        return found
    return found
