"""Crash points: the places at which a process of ours touches the outside, and a way to have it fail at one of them.

In: orders, each `process:effect:kind:n`: at its n-th call of that effect, once,

    before   the process kills itself before the effect
    after    the process kills itself when the effect is done
    failed   the effect is done, and the caller is told that it was not

Out: nothing, unless an order names the place. A testing aid: without `PALIMPSEST_FAULT_DIR` no process looks for
orders, and a crash point costs one comparison. Every effect stands inside a crash point; `make check` compares.
An order is a file in that folder, and carrying it out renames the file, so that the process that is started again
does not die of the same order. Knows no effect.
"""

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from pathlib import Path
from types import TracebackType

from runtime import settings
from runtime.errors import Unavailable
from runtime.telemetry import logger

FIRED = ".fired"
Failure = Callable[[str], Exception]

log = logger(__name__)


class Kind(StrEnum):
    """What goes wrong."""

    BEFORE = "before"
    AFTER = "after"
    FAILED = "failed"


class _Faults:
    """The orders of one process."""

    def __init__(self, process: str, folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._calls: Counter[str] = Counter()
        self._lock = threading.Lock()

    def due(self, effect: str) -> dict[Kind, Path]:
        """The orders that this call of the effect meets: the n-th since an order was first seen, or a later one, if
        that did not take effect.
        """
        place = f"{self._process}:{effect}:"
        found: dict[Kind, Path] = {}
        with self._lock:
            for name in os.listdir(self._folder):
                if name.startswith(place) and not name.endswith(FIRED):
                    self._calls[name] += 1
                    kind, _, number = name.removeprefix(place).partition(":")
                    if self._calls[name] >= int(number):
                        found[Kind(kind)] = self._folder / name
        return found


class _CrashPoint:
    """One call of an effect in a process that has orders to look for."""

    def __init__(self, faults: _Faults, effect: str, failure: Failure) -> None:
        self._effect = effect
        self._failure = failure
        self._due = faults.due(effect)

    def __enter__(self) -> None:
        if order := self._due.get(Kind.BEFORE):
            _die(order)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is not None:
            return
        if order := self._due.get(Kind.AFTER):
            _die(order)
        if (order := self._due.get(Kind.FAILED)) and _taken(order):
            log.warning("an effect is reported as failed", action="fault.failed", effect=self._effect)
            raise self._failure(f"{self._effect} was done and is reported as failed")


_NOTHING = nullcontext()
_faults: _Faults | None = None


def crash_point(effect: str, failure: Failure = Unavailable) -> AbstractContextManager[None]:
    """Encloses one outside effect; `failure` makes what its caller gets when the outside does not answer in time."""
    if _faults is None:
        return _NOTHING
    return _CrashPoint(_faults, effect, failure)


def arm(process: str, orders: settings.Faults) -> None:
    """Has this process look for orders, if the settings name a folder of them. To be called once, at its start."""
    global _faults
    if orders.folder is None:
        return
    orders.folder.mkdir(parents=True, exist_ok=True)
    for name in orders.given:
        if not (orders.folder / (name + FIRED)).exists():
            (orders.folder / name).touch()
    _faults = _Faults(process, orders.folder)
    log.warning("this process may be told to crash", action="fault.armed", folder=str(orders.folder))


def _taken(order: Path) -> bool:
    """Whether the order was still there: of several that meet it, one carries it out."""
    try:
        order.rename(order.with_name(order.name + FIRED))
    except FileNotFoundError:
        return False
    return True


def _die(order: Path) -> None:
    if _taken(order):
        os.kill(os.getpid(), signal.SIGKILL)
