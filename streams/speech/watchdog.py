"""Ends the process when its loop stops turning.

In: beats. Out: exit status 70. The poll interval that Kafka is told is longer than the longest batch, so the group
would find a stuck loop late.
"""

import os
import threading
import time
from collections.abc import Callable

from runtime.telemetry import logger

LIMIT_S = 240.0
CHECK_S = 5.0
STATUS = 70

log = logger(__name__)


class Watchdog:
    """Calls `bite` when nobody called `beat` for `limit_s`."""

    def __init__(self, limit_s: float = LIMIT_S, bite: Callable[[], None] = lambda: os._exit(STATUS)) -> None:
        self._limit_s = limit_s
        self._bite = bite
        self._beat_at = time.monotonic()
        self._closed = threading.Event()

    def start(self) -> None:
        """Watches from a daemon thread."""
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def beat(self) -> None:
        """The loop turns."""
        self._beat_at = time.monotonic()

    def close(self) -> None:
        """Stops watching."""
        self._closed.set()

    def _watch(self) -> None:
        while not self._closed.wait(min(CHECK_S, self._limit_s / 4)):
            still_s = time.monotonic() - self._beat_at
            if still_s > self._limit_s:
                log.error("the loop is stuck", action="watchdog", still_s=round(still_s, 1))
                self._bite()
                return
