"""Waiting in tests: until something is so, or a deadline passes. Never a fixed time."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

POLL_S = 0.05
T = TypeVar("T")


def until(probe: Callable[[], T | None], timeout_s: float, what: str) -> T:
    """The first answer of `probe` that is true; AssertionError naming `what` when none came in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        if answer := probe():
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        threading.Event().wait(POLL_S)
