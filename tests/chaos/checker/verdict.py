"""The verdict on a run: every invariant that applies, each by the module that knows its evidence.

In: the folder of a run whose world still stands. Out: violations; none when every promise was kept.

I1 acknowledged is kept · I2 every job ends · I3, I4 legal steps, numbers without gap, repeats equal to the byte
I5, I6 same key, same job; unknown outcomes are none or one · I7 the options of the request
I8 poison, and no failure that nobody ordered · I11 the ending and the words of a fault-free run
I9, I20 nothing goes back · I10, I14 no lost update · I12 whole transcripts · I13, I27 nothing foreign
I15, I16 (so I17) views and index equal the log · I21 objects · I23 events in order · I24, I30 rest and recovery (by the
run itself) · I26 what was erased · I28 logs · I29 bounds
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from tests.chaos.checker import (
    answers,
    bounds,
    cuts,
    endings,
    erasures,
    histories,
    letters,
    objects,
    promises,
    sameness,
    search,
    traces,
    views,
)
from tests.chaos.checker.evidence import Evidence, gather
from tests.chaos.checker.violation import Violation

__all__ = ["RULES", "Violation", "check"]

RULES: tuple[Callable[[Evidence], Iterator[Violation]], ...] = (
    histories.violations,
    erasures.violations,
    promises.violations,
    cuts.violations,
    endings.violations,
    sameness.violations,
    letters.violations,
    views.violations,
    search.violations,
    objects.violations,
    answers.violations,
    traces.violations,
    bounds.violations,
)


def check(folder: Path) -> list[Violation]:
    """All violations of a run."""
    evidence = gather(folder)
    return [violation for rule in RULES for violation in rule(evidence)]
