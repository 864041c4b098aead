"""Waiting until something answers in its own protocol, and saying why when it does not.

In: a probe and the supervisor's word on the program. Out: nothing, or NotReady with the end of the log.
Must not know what is waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg
from confluent_kafka import KafkaException

from local import supervisor
from local.errors import NotReady
from local.layout import Layout

POLL_S = 0.2
STARTS_BEFORE_GIVING_UP = 5
PROBE_ERRORS = (OSError, psycopg.Error, KafkaException)


def await_ready(layout: Layout, name: str, probe: Callable[[], None], within_s: float) -> None:
    """Return once the probe passes; NotReady once the program is given up or the time is over."""
    deadline = time.monotonic() + within_s
    earlier = supervisor.restarts(layout).get(name, -1)
    while True:
        try:
            probe()
        except PROBE_ERRORS as exc:
            reason = str(exc) or type(exc).__name__
        else:
            return
        state = supervisor.state_of(layout, name)
        if state.state in ("FATAL", "EXITED", "STOPPED") or _keeps_ending(layout, name, state.state, earlier):
            raise NotReady(_ending(layout, name, f"{name} ended while starting ({state.state.lower()})."))
        if time.monotonic() > deadline:
            raise NotReady(_ending(layout, name, f"{name} was not ready after {within_s:.0f} s: {reason}."))
        time.sleep(POLL_S)


def _keeps_ending(layout: Layout, name: str, state: str, earlier: int) -> bool:
    """Whether a program has ended several times since the wait for it began."""
    return state == "BACKOFF" and supervisor.restarts(layout).get(name, -1) - earlier >= STARTS_BEFORE_GIVING_UP


def _ending(layout: Layout, name: str, sentence: str) -> str:
    log = layout.log_of(name)
    return f"{sentence}\nThe end of {log}:\n{supervisor.log_tail(log)}"
