"""How much work a file may be: a process that gives no sound for it says so and ends."""

import resource
import subprocess
import sys

_BURN = """
import sys
from streams.chunker import budget
budget.OPEN_CPU_S, budget.CPU_S = 1, 2
spent = budget.Budget(3_600, lambda: None, lambda: print("spent", flush=True))
for seconds in map(int, sys.argv[1:]):
    spent.decoded(seconds)
while True:
    pass
"""

_WAIT = """
import sys, time
from streams.chunker import budget
budget.OPEN_CPU_S, budget.SIGN_EVERY_S = 60, 0.3
signs = []
budget.Budget(3_600, lambda: signs.append(1), lambda: None)
deadline = time.monotonic() + 3
while time.monotonic() < deadline:
    if sys.argv[1] == "waits":
        time.sleep(deadline - time.monotonic())
print(len(signs))
"""


def _signs(doing: str) -> int:
    done = subprocess.run((sys.executable, "-c", _WAIT, doing), capture_output=True, text=True, timeout=120, check=True)
    return int(done.stdout)


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


def test_one_that_works_says_so_and_one_that_waits_does_not() -> None:
    assert _signs("works") >= 3
    assert _signs("waits") == 0
