"""Plans: repeatable, and nobody is left out of a long run."""

from collections import Counter
from itertools import pairwise

import pytest

from tests.chaos.plan import ENGINES, GAP_S, OURS, PAUSE_S, Kind, Script, plan

MINUTES = 30


def test_a_seed_gives_the_same_plan_again() -> None:
    assert plan(7, 3, 50) == plan(7, 3, 50)
    assert plan(7, 3, 50).faults != plan(8, 3, 50).faults


@pytest.mark.parametrize("seed", range(5))
def test_a_long_run_kills_and_pauses_everybody(seed: int) -> None:
    done = Counter((fault.target, fault.kind) for fault in plan(seed, MINUTES, 1).faults)
    for name in OURS:
        assert done[name, Kind.KILL] + done[name, Kind.KILL_FAMILY] >= 3, name
        assert done[name, Kind.PAUSE] >= 1, name
    for name in ENGINES:
        assert done[name, Kind.KILL] >= 1, name
        assert done[name, Kind.PAUSE] >= 1, name


def test_faults_come_every_few_seconds_and_pauses_outlast_the_session() -> None:
    faults = plan(1, MINUTES, 1).faults
    gaps = [after.at_s - before.at_s for before, after in pairwise(faults)]
    assert all(GAP_S[0] - 0.02 <= gap <= GAP_S[1] + 0.02 for gap in gaps)
    pauses = [fault.duration_s for fault in faults if fault.kind is Kind.PAUSE and fault.target in OURS]
    assert all(PAUSE_S[0] <= pause <= PAUSE_S[1] for pause in pauses)


def test_clients_do_everything_that_people_do() -> None:
    assert {upload.script for upload in plan(1, MINUTES, 300).uploads} == set(Script)
