"""Ends the process when its consumer group does not take it back.

In: joins and leaves as the client reports them, and whether the broker answers. Out: exit status 70.
After an outage of the broker a client can wait for ever for its group's coordinator, while everything else of it goes
on: it has no partitions, so it has no lag and nothing looks stuck. A fresh process joins within seconds.
"""

import os
import time
from collections.abc import Callable

from runtime.telemetry import logger

LIMIT_S = 90.0
STATUS = 70

log = logger(__name__)


class Membership:
    """One client's place in its group. A member without partitions has joined, too."""

    def __init__(
        self,
        limit_s: float = LIMIT_S,
        clock: Callable[[], float] = time.monotonic,
        bite: Callable[[], None] = lambda: os._exit(STATUS),
    ) -> None:
        self._limit_s = limit_s
        self._clock = clock
        self._bite = bite
        self._out_since: float | None = None

    def joined(self) -> None:
        """The group gave us our share."""
        self._out_since = None

    def left(self) -> None:
        """The share is gone, or was never there; a new one is on its way."""
        self._out_since = self._clock()

    def watch(self, broker_answers: bool) -> None:
        """To be called now and then; time without a broker does not count."""
        if self._out_since is None:
            return
        if not broker_answers:
            self._out_since = self._clock()
        elif self._clock() - self._out_since > self._limit_s:
            log.error("the group does not take us back", action="consumer.forsaken", limit_s=self._limit_s)
            self._bite()
