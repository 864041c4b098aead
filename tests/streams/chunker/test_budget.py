"""How much work a file may be: a process that gives no sound for it says so and ends."""

import resource
import subprocess
import sys

_BURN = """
import sys
from streams.chunker import budget
budget.OPEN_CPU_S, budget.CPU_S = 1, 2
spent = budget.Budget(3_600, lambda: print("spent", flush=True))
for seconds in map(int, sys.argv[1:]):
    spent.decoded(seconds)
while True:
    pass
"""


def _spent_after_s(*decoded: str) -> float:
    before = _children_cpu_s()
    done = subprocess.run((sys.executable, "-c", _BURN, *decoded), capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "spent\n")
    return _children_cpu_s() - before


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_work_without_sound_is_ended_early_and_sound_earns_more() -> None:
    assert 1 <= _spent_after_s() < 2
    assert 3 <= _spent_after_s("60") < 4.5
