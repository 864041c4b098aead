"""`make outages`: each engine away, or its disk full, for a while under a light load, and what clients were told.

In: arguments. Out: a table, one row an outage; exit status 1 when an answer was not clear, a promise was not kept, no
metric or no refusal told of a full disk, or an upload's body was taken in that could not be promised. Uses a stack of
its own, which it starts and stops.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from api.accounts.keys import create_key
from bench.load import Call, Load, refused_before_the_body
from bench.processes import STUB
from bench.resources import family
from bench.small_disks import TEMPORARY, Disk, SmallDisks
from local import supervisor
from local.engines import ENGINES
from local.layout import CHECKOUT
from local.ports import LOOPBACK
from local.stack import Stack

HOME = CHECKOUT / ".palimpsest" / "outages"
PORT_BASE = 18600
OUTAGE_S = 60.0
JOBS_PER_S = 2.0
NOTICE_S = 30.0
RECOVERY_LIMIT_S = 180.0
POLL_S = 0.2
# Without these no upload can be promised, so its body must not be taken in. Search is not needed for that, and the
# registry only until the first schema was looked up.
NEEDED = frozenset({"kafka", "postgres", "s3"})
FILL = "fill"
WAYS = ("stop", "pause", FILL)
# Whose metrics tell of a disk, and under which name: temporary files are the chunker's, all else is watched by effects.
TOLD_BY: Mapping[str, tuple[str, str]] = {TEMPORARY: ("chunker", "temp")}
FULL_RATIO = 0.03  # below it the alert goes off


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """What one outage did; `early_s` is counted from its beginning, recovery from when the engine answers again."""

    engine: str
    way: str
    calls: int
    refused: int
    slowest_s: float
    early_s: float | None
    promised: int
    accepting_after_s: float
    quiet_after_s: float
    faults: tuple[str, ...]


def measure(stack: Stack, load: Load, engine: str, way: str, seconds: float) -> Outage:
    """Takes an engine away while `load` runs, gives it back and waits until every promise is kept."""
    first, faults = len(load.calls), list[str]()
    _take_away(stack, engine, way)
    began = time.monotonic()
    early_s = refused_early(load.url, load.key, began, faults) if engine in NEEDED and way != FILL else None
    if way == FILL:
        _within(lambda: free_ratio(stack, engine) < FULL_RATIO, began, "no metric says that the disk is full", faults)
        if engine in NEEDED:  # what fits into pages that are there already is still taken
            _within(lambda: _refused(load.calls[first:]), began, "nothing was refused on a full disk", faults)
    while time.monotonic() - began < seconds:
        time.sleep(POLL_S)
    before = len(load.promised)
    _give_back(stack, engine, way)
    back = time.monotonic()
    accepting_s = _within(lambda: len(load.promised) > before, back, "no upload was accepted again", faults)
    keys = list(load.promised)
    quiet_s = _within(lambda: not load.unkept(keys), back, "a promised job is not completed or not found", faults)
    calls = load.calls[first:]
    faults += [f"{call.kind}: {call.fault}" for call in calls if call.fault]
    return Outage(
        engine=engine,
        way=way,
        calls=len(calls),
        refused=_refused(calls),
        slowest_s=max(call.elapsed_s for call in calls),
        early_s=early_s,
        promised=len(keys),
        accepting_after_s=accepting_s,
        quiet_after_s=quiet_s,
        faults=tuple(dict.fromkeys(faults)),
    )


def _refused(calls: Sequence[Call]) -> int:
    return sum(call.status >= 500 for call in calls)


def refused_early(url: str, key: str, began_s: float, faults: list[str]) -> float | None:
    """How long after the outage began an upload was refused of which only the head was sent; one that began before it
    was noticed may wait for its body."""
    while time.monotonic() - began_s < NOTICE_S:
        status, code = refused_before_the_body(url, key)
        if status and (after_s := time.monotonic() - began_s) <= NOTICE_S:
            if (status, code) != (503, "unavailable"):
                faults.append(f"an upload that could not be promised: {status} {code}")
            return after_s
    faults.append("the body of an upload was waited for that could not be promised")
    return None


def _within(done: Callable[[], object], since: float, otherwise: str, faults: list[str]) -> float:
    while not done():
        if time.monotonic() - since > RECOVERY_LIMIT_S:
            faults.append(otherwise)
            break
        time.sleep(POLL_S)
    return time.monotonic() - since


def free_ratio(stack: Stack, disk: str) -> float:
    """What `palimpsest_disk_free_ratio` says of a disk."""
    process, folder = TOLD_BY.get(disk, ("effects", disk))
    text = httpx.get(f"http://{stack.site.address(process)}/metrics").text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return next(s.value for s in samples if s.name == "palimpsest_disk_free_ratio" and s.labels["folder"] == folder)


def _take_away(stack: Stack, engine: str, way: str) -> None:
    if way == FILL:
        _disk(stack, engine).fill()
    elif way == "stop":
        supervisor.stop_programs(stack.layout, [engine])
    else:
        _signal(stack, engine, signal.SIGSTOP)


def _give_back(stack: Stack, engine: str, way: str) -> None:
    if way == FILL:
        _disk(stack, engine).free()
    elif way == "stop":
        stack.start_engines([engine])
    else:
        _signal(stack, engine, signal.SIGCONT)


def _disk(stack: Stack, name: str) -> Disk:
    assert isinstance(stack, SmallDisks), "only a stack on small disks has disks that can be filled"
    return stack.disks[name]


def _signal(stack: Stack, engine: str, number: signal.Signals) -> None:
    for pid in family(supervisor.state_of(stack.layout, engine).pid):
        os.kill(pid, number)


def row(outage: Outage) -> str:
    """One line of the table."""
    early = "-" if outage.early_s is None else f"{outage.early_s:.1f} s"
    return (
        f"{outage.engine:<12}{outage.way:<7}{outage.calls:>6}{outage.refused:>8}{outage.slowest_s:>9.1f} s{early:>9}"
        f"{outage.accepting_after_s:>10.1f} s{outage.quiet_after_s:>8.1f} s  {'; '.join(outage.faults) or 'none'}"
    )


HEAD = f"{'engine':<12}{'way':<7}{'calls':>6}{'refused':>8}{'slowest':>11}{'early at':>9}{'accepting':>12}{'quiet':>10}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make outages", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=OUTAGE_S, help=f"length of each outage (default {OUTAGE_S:g})")
    parser.add_argument("--engine", choices=(*ENGINES, TEMPORARY), action="append", help="one, or more; or all")
    parser.add_argument("--way", choices=WAYS, action="append", help="stopped, paused so that it hangs, its disk full")
    parser.add_argument("--home", type=Path, default=HOME, help="the folder of its stack")
    parser.add_argument("--port-base", type=int, default=PORT_BASE, metavar="PORT", help=f"default: {PORT_BASE}")
    return parser.parse_args()


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


def _outages(stack: SmallDisks, arguments: argparse.Namespace) -> Sequence[Outage]:
    key = create_key(stack.shared_settings()["PALIMPSEST_POSTGRES_DSN"], "outages", "outages")
    found = []
    print(HEAD + "  faults", flush=True)
    for engine, way in _planned(stack, arguments):
        load = Load(f"http://{LOOPBACK}:{stack.site.port('api')}", key, JOBS_PER_S)
        with load.running():
            _within(lambda load=load: load.promised, time.monotonic(), "", [])  # type: ignore[misc]
            found.append(measure(stack, load, engine, way, arguments.seconds))
        print(row(found[-1]), flush=True)
    return found


def _planned(stack: SmallDisks, arguments: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Whom to take away and how: only a disk can be full, and only an engine away."""
    for engine in arguments.engine or (*ENGINES, TEMPORARY):
        for way in arguments.way or WAYS:
            if engine in (stack.disks if way == FILL else ENGINES):
                yield engine, way


def main() -> int:
    """0 when every answer was clear and every promise kept."""
    arguments = _arguments()
    stack = SmallDisks(arguments.home, arguments.port_base, overrides=STUB, say=_say)
    if refused := stack.mount():
        _say(f"no disk will be filled: {refused}")
    stack.start()
    try:
        found = _outages(stack, arguments)
    finally:
        stack.stop()
        stack.wipe()
    return 1 if any(outage.faults for outage in found) else 0


if __name__ == "__main__":
    sys.exit(main())
