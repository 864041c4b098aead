"""A short chaos run on a stack of its own: everything is killed or paused in turn, and every promise is kept."""

from dataclasses import replace
from pathlib import Path

import pytest

from local.layout import CHECKOUT
from tests.chaos import report
from tests.chaos.plan import OURS, plan
from tests.chaos.run import Place, run
from tests.port_bases import free_port_base

# Four faults: PostgreSQL and the assembler killed, a speech worker and `effects` paused past their sessions. Then all
# processes of ours: the engines take a minute to start together while other tests run.
SEED = 2754
MINUTES = 0.4
JOBS = 10


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_a_short_run_keeps_every_promise(tmp_path: Path) -> None:
    place = Place(home=CHECKOUT / ".palimpsest" / "chaos-test", port_base=free_port_base(), folder=tmp_path / "run")
    result = run(replace(plan(SEED, MINUTES, JOBS), last=OURS), place, print)
    print("\n".join(report.lines(result)))
    assert result.violations == []
    assert result.acknowledged == JOBS
    # One that is being restarted just then cannot be killed.
    assert sum(result.deeds.done.values()) >= len(OURS)
