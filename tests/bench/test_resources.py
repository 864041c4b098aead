"""Memory and processor time of real processes."""

import os
import subprocess
import sys

from bench.resources import cpu_seconds, proportional_bytes

MARK = "ready"
BALLAST_BYTES = 50_000_000
# A parent whose child holds the ballast; both say so and wait for their input to end.
_PARENT = f"""
import subprocess, sys
child = "b = bytearray({BALLAST_BYTES}); print('{MARK}', flush=True); input()"
subprocess.run([sys.executable, "-c", child])
"""


def test_a_childs_memory_counts_as_its_parents() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline().strip() == MARK.encode()
        # The first byte of each page was written, so the child has them all.
        assert proportional_bytes(process.pid) > BALLAST_BYTES
        process.stdin.close()


def test_a_process_that_ended_takes_nothing() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert proportional_bytes(process.pid) == 0
    assert proportional_bytes(os.getpid()) > 0


def test_processor_time_only_grows_and_counts_ended_children() -> None:
    before = cpu_seconds(os.getpid())
    subprocess.run([sys.executable, "-c", "sum(range(10_000_000))"], check=True)
    assert cpu_seconds(os.getpid()) >= before + 0.1
