"""The nemesis: carries the planned faults out, one after the other, and measures how long each target takes to be back.

In: a plan and a world. Out: what was done to whom, and the seconds from each heal until the target answered again:
from the SIGKILL, the SIGCONT, or the SIGTERM of a restart.
It knows processes, signals and disks; of what they do it knows nothing.
"""

import signal
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

from local import supervisor
from local.errors import NotRunning
from tests.chaos.plan import TWINNED, Fault, Kind
from tests.chaos.signs import Deed
from tests.chaos.world import TWIN, World

RECOVERY_LIMIT_S = 480.0
POLL_S = 0.25
TWIN_STAYS_S = 6.0
# Targets that are under a fault or not back from one; on an idle machine hardly ever as many.
MOST_DOWN = 4
HANDS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """How long a target took to answer again; None where it never did."""

    target: str
    kind: str
    seconds: float | None


@dataclass(slots=True)
class Deeds:
    """What was done."""

    done: Counter[tuple[str, str]] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    recoveries: list[Recovery] = field(default_factory=list)
    revived: list[str] = field(default_factory=list)
    log: list[Deed] = field(default_factory=list)

    def note(self, fault: Fault, target: str, begun_s: float) -> None:
        """The fault was done, and is over."""
        self.done[target, fault.kind.value] += 1
        self.log.append(Deed(target=target, kind=fault.kind.value, begun_s=begun_s, ended_s=time.monotonic()))


class Nemesis:
    """`run` returns when every planned fault was begun; `finish` kills everything and ends those that still last."""

    def __init__(self, world: World, faults: Sequence[Fault]) -> None:
        self._world = world
        self._faults = faults
        self._hands = ThreadPoolExecutor(HANDS, thread_name_prefix="nemesis")
        self._healed = threading.Event()
        self._healed_s: float | None = None
        self._twins: dict[str, threading.Thread] = {}
        self._busy: set[str] = set()
        self.deeds = Deeds()
        self.errors: list[str] = []

    def run(self, begun_s: float, length_s: float) -> None:
        """Faults at their times after `begun_s`, or later where too much is down; several may overlap."""
        for fault in self._faults:
            if time.monotonic() < begun_s + length_s:
                self._await_turn(fault, begun_s + fault.at_s, begun_s + length_s)
            if time.monotonic() >= begun_s + length_s:
                self.deeds.skipped["the time was over: the machine was slow to restart what was down"] += 1
                continue
            self._busy.add(fault.target)
            self._hands.submit(self._guarded, fault)
        self._healed.wait(max(0.0, begun_s + length_s - time.monotonic()))

    def _await_turn(self, fault: Fault, due_s: float, end_s: float) -> None:
        """Where everything is down nothing goes wrong: a slow machine is given time to restart what was killed."""
        while (now_s := time.monotonic()) < end_s:
            if now_s >= due_s and fault.target not in self._busy and len(self._busy) < MOST_DOWN:
                return
            time.sleep(POLL_S)

    def finish(self, targets: Sequence[str]) -> float:
        """One last fault, for all at once: killed with their children, like a machine. Its moment: the last heal.

        Pauses end and room is given back with it; what restarts from then on is left alone.
        """
        self._healed_s = time.monotonic()
        for target in targets:
            self._hands.submit(self._guarded, Fault(at_s=0.0, target=target, kind=Kind.KILL_ALL))
        self._healed.set()
        return self._healed_s

    def await_recovery(self) -> None:
        """Returns when every target is back, or was given up."""
        self._hands.shutdown(wait=True)

    def _guarded(self, fault: Fault) -> None:
        try:
            self._do(fault)
        except NotRunning as error:
            self.errors.append(f"{fault}: {error}")
        finally:
            self._busy.discard(fault.target)

    def _do(self, fault: Fault) -> None:
        if fault.kind is Kind.FILL:
            self._fill(fault)
            return
        begun_s = time.monotonic()
        healed_s: float | None = getattr(self, f"_{fault.kind.name.lower()}")(fault)
        if healed_s is None:
            self.deeds.skipped[f"{fault.target} was not running"] += 1
            return
        self.deeds.note(fault, fault.target, begun_s)
        self._await_recovery(fault, healed_s)
        if leaving := self._twins.pop(fault.target, None):
            leaving.join()

    # Each of these returns the moment from which the target may come back, None where it did not run.

    def _kill(self, fault: Fault) -> float | None:
        return time.monotonic() if self._world.signal(fault.target, signal.SIGKILL, family=False) else None

    def _kill_family(self, fault: Fault) -> float | None:
        return time.monotonic() if self._world.signal(fault.target, signal.SIGKILL, family=True) else None

    _kill_all = _kill_family

    def _restart(self, fault: Fault) -> float | None:
        """SIGTERM, as an update of the program sends it."""
        if self._world.pid(fault.target) == 0:
            return None
        asked_s = time.monotonic()
        supervisor.stop_programs(self._world.layout, [fault.target])
        supervisor.start_program(self._world.layout, fault.target)
        return asked_s

    def _pause(self, fault: Fault) -> float | None:
        """Frozen beyond its session timeout, while a twin takes over; when it wakes it believes to be the owner."""
        twin = fault.target + TWIN if fault.target in TWINNED else ""
        if not self._world.signal(fault.target, signal.SIGSTOP, family=True):
            return None
        if twin:
            supervisor.start_program(self._world.layout, twin)
        self._healed.wait(fault.duration_s)
        self._world.signal(fault.target, signal.SIGCONT, family=True)
        woken_s = time.monotonic()
        if twin:
            self._twins[fault.target] = leaving = threading.Thread(target=self._send_home, args=(twin,), name=twin)
            leaving.start()
        return woken_s

    def _send_home(self, twin: str) -> None:
        """It stays for a while beside the one that woke up, whose recovery is measured meanwhile."""
        self._healed.wait(TWIN_STAYS_S)
        try:
            supervisor.stop_programs(self._world.layout, [twin])
        except NotRunning as error:
            self.errors.append(f"{twin}: {error}")

    def _fill(self, fault: Fault) -> None:
        disk = self._world.disks[fault.target]
        if disk.refused:
            self.deeds.skipped[f"disk {fault.target}: mounting was refused: {disk.refused}"] += 1
            return
        begun_s = time.monotonic()
        disk.fill()
        self._healed.wait(fault.duration_s)
        disk.free()
        self.deeds.note(fault, fault.target + " disk", begun_s)

    def _await_recovery(self, fault: Fault, healed_s: float) -> None:
        """However long it takes; only what the supervisor gave up, or what is away long after the run, never came."""
        seconds: float | None = None
        while seconds is None and not self._given_up(fault.target):
            if self._world.is_ready(fault.target):
                seconds = time.monotonic() - healed_s
            time.sleep(POLL_S)
        if self._healed_s is not None and fault.kind is not Kind.KILL_ALL:
            return  # the last fault hit it as well, and is measured by itself
        self.deeds.recoveries.append(Recovery(target=fault.target, kind=fault.kind.value, seconds=seconds))

    def _given_up(self, target: str) -> bool:
        if self._healed_s is not None and time.monotonic() - self._healed_s > RECOVERY_LIMIT_S:
            return True
        with suppress(NotRunning):
            return supervisor.state_of(self._world.layout, target).state == "FATAL"
        return False
