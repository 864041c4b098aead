"""Whoever is asked to end ends, also from within a call that waits for an engine."""

import signal
import subprocess
import sys

import pytest

NOBODY = "127.0.0.1:9"  # nobody listens on the port `discard`
LIMIT_S = 20.0
FLUSH = f"""
from runtime.kafka import EventProducer, Outgoing
from runtime.settings import Kafka
producer = EventProducer(Kafka(bootstrap="{NOBODY}", topic_prefix="", partitions=1, replication=1))
producer.send(Outgoing(topic="t", partition=0, key=b"k", value=b"v"))
print("hangs", flush=True)
producer.flush()
"""
REGISTRY = f"""
from runtime.registry import Registry
print("hangs", flush=True)
Registry("http://{NOBODY}").resolve_all()
"""
LOOP = """
print("hangs", flush=True)
stop.wait()
print("ends", flush=True)
"""


def _ended(program: str) -> tuple[int, str]:
    """Status and words of a program that was asked to end where it hangs."""
    lines = ["from runtime.stopping import stop_signal", "stop = stop_signal(0.5)", program]
    command = (sys.executable, "-c", "\n".join(lines))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as hung:
        try:
            assert hung.stdout is not None and hung.stdout.readline() == "hangs\n"
            hung.send_signal(signal.SIGTERM)
            said, _ = hung.communicate(timeout=LIMIT_S)
        finally:
            hung.kill()
    return hung.returncode, said


@pytest.mark.parametrize("program", [FLUSH, REGISTRY], ids=["flush", "registry"])
def test_a_call_that_waits_for_an_engine_holds_nobody_back(program: str) -> None:
    status, said = _ended(program)
    assert (status, "what hangs is left behind" in said) == (0, True), said


def test_who_ends_in_time_is_left_alone() -> None:
    assert _ended(LOOP) == (0, "ends\n")
