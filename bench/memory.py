"""How much memory a process and its children take.

In: process ids. Out: bytes. Must not know whose they are.
"""

from pathlib import Path

PROC = Path("/proc")
KIB = 1024


def proportional_bytes(pid: int) -> int:
    """Proportional set size of a process and its descendants: shared pages count in parts, so that sums are true."""
    return _own(pid) + sum(proportional_bytes(child) for child in _children(pid))


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
