"""The result of a run in words and as JSON.

In: a result. Out: lines for a terminal, and `result.json` in the run's folder.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from tests.chaos.plan import ENGINES, OURS, Kind, Plan
from tests.chaos.run import QUIET_GOAL_S, Result

SHOWN_VIOLATIONS = 60
# From what on a target had time to come back, and the kinds of fault of which that is so.
HEALS = {
    "SIGKILL": (Kind.KILL, Kind.KILL_FAMILY),
    "SIGCONT": (Kind.PAUSE,),
    "SIGTERM": (Kind.RESTART,),
    "SIGKILL of all at once": (Kind.KILL_ALL,),
}


def lines(result: Result) -> Iterator[str]:
    """What a person wants to know."""
    plan, done = result.plan, result.deeds.done
    yield f"seed {plan.seed}: {plan.minutes} minutes, {result.wall_s / 60:.1f} with all that follows"
    yield f"faults: {sum(done.values())}; " + ", ".join(f"{kind} {n}" for kind, n in sorted(_by_kind(done).items()))
    for target in sorted({target for target, _ in done}, key=_order):
        kinds = {kind: n for (name, kind), n in done.items() if name == target}
        yield f"  {target:<20}" + "  ".join(f"{kind} {n}" for kind, n in sorted(kinds.items()))
    for why, count in result.deeds.skipped.items():
        yield f"  not done {count} times: {why}"
    yield f"jobs: {len(plan.uploads)} uploads planned, {_heavy(plan)} above 50 MB; {result.acknowledged} acknowledged"
    yield "answers: " + ", ".join(f"{what} {n}" for what, n in sorted(result.told.items()))
    yield "disturbed: " + ", ".join(f"{what} {n}" for what, n in sorted(result.disturbed.items()))
    for heal in HEALS:
        yield _recovery_line(f"our processes back after {heal}", _seconds(result, OURS, heal))
        yield _recovery_line(f"engines back after {heal}", _seconds(result, ENGINES, heal))
    quiet = "never" if result.quiet_s is None else f"{result.quiet_s:.1f} s"
    goal = f"GOAL MISSED: {QUIET_GOAL_S:.0f} s" if result.goal_missed else f"goal {QUIET_GOAL_S:.0f} s"
    yield f"all killed to quiet: {quiet} ({goal}; load average {result.load_average:.1f})"
    for kind in result.seen:
        told = ", ".join(f"{sign} {n}" for sign, n in sorted(kind.told.items())) or "nothing"
        yield f"seen of {kind.done} {kind.kind}: {told}"
    yield f"violations: {len(result.violations)}"
    for violation in result.violations[:SHOWN_VIOLATIONS]:
        yield f"  {violation.invariant} {violation.subject}: {violation.text}"


def write(result: Result, folder: Path) -> None:
    """Leaves the result for later."""
    body = {
        "seed": result.plan.seed,
        "minutes": result.plan.minutes,
        "jobs": len(result.plan.uploads),
        "acknowledged": result.acknowledged,
        "faults": {f"{target} {kind}": n for (target, kind), n in sorted(result.deeds.done.items())},
        "not_done": dict(result.deeds.skipped),
        "kills_and_pauses": kills_and_pauses(result),
        "told": result.told,
        "disturbed": result.disturbed,
        "recovery_s": {
            f"{who} {heal}": _summary(_seconds(result, targets, heal))
            for who, targets in (("ours", OURS), ("engines", ENGINES))
            for heal in HEALS
        },
        "killed_to_quiet_s": result.quiet_s,
        "goal_missed": result.goal_missed,
        "seen": {kind.kind: {"done": kind.done, "told": dict(kind.told)} for kind in result.seen},
        "load_average": result.load_average,
        "wall_s": result.wall_s,
        "violations": [asdict(violation) for violation in result.violations],
    }
    (folder / "result.json").write_text(json.dumps(body, indent=1) + "\n")


def kills_and_pauses(result: Result) -> int:
    """How often a process was killed or paused."""
    kinds = {Kind.KILL, Kind.KILL_FAMILY, Kind.KILL_ALL, Kind.PAUSE}
    return sum(n for (_, kind), n in result.deeds.done.items() if kind in kinds)


def _heavy(plan: Plan) -> int:
    return sum(upload.heavy for upload in plan.uploads)


def _by_kind(done: Counter[tuple[str, str]]) -> Counter[str]:
    kinds: Counter[str] = Counter()
    for (_, kind), count in done.items():
        kinds[kind] += count
    return kinds


def _order(target: str) -> tuple[int, str]:
    return ((*OURS, *ENGINES).index(target) if target in (*OURS, *ENGINES) else len(OURS) + len(ENGINES), target)


def _seconds(result: Result, targets: Sequence[str], heal: str) -> list[float]:
    back = (r for r in result.deeds.recoveries if r.target in targets and r.kind in HEALS[heal])
    return [round(r.seconds, 2) for r in back if r.seconds is not None]


def _summary(seconds: Sequence[float]) -> dict[str, object]:
    return {"p50": _percentile(seconds, 50), "p99": _percentile(seconds, 99), "all": seconds}


def _percentile(seconds: Sequence[float], share: int) -> float | None:
    return round(float(np.percentile(np.array(seconds), share)), 2) if seconds else None


def _recovery_line(what: str, seconds: Sequence[float]) -> str:
    if not seconds:
        return f"{what}: none measured"
    return f"{what}: p50 {_percentile(seconds, 50)} s, p99 {_percentile(seconds, 99)} s, n {len(seconds)}"
