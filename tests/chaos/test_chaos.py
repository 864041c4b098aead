"""A short chaos run on a stack of its own: everything is killed or paused in turn, and every promise is kept."""

from pathlib import Path

import pytest

from local.errors import PortTaken
from local.layout import CHECKOUT
from local.ports import OFFSETS, require_free
from tests.chaos import report
from tests.chaos.plan import plan
from tests.chaos.run import Place, run

# Four faults: PostgreSQL and the assembler killed, a speech worker and `effects` paused past their sessions.
SEED = 2754
MINUTES = 0.4
JOBS = 10
FIRST_PORT_BASE = 18_600
PORT_BASES = 20


def _free_port_base() -> int:
    """Several checkouts may be tested on one machine at once."""
    for number in range(PORT_BASES):
        base = FIRST_PORT_BASE + 100 * number
        try:
            require_free(OFFSETS, base)
        except PortTaken:
            continue
        return base
    raise AssertionError("no ports are free")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_short_run_keeps_every_promise(tmp_path: Path) -> None:
    place = Place(home=CHECKOUT / ".palimpsest" / "chaos-test", port_base=_free_port_base(), folder=tmp_path / "run")
    result = run(plan(SEED, MINUTES, JOBS), place, print)
    print("\n".join(report.lines(result)))
    assert result.violations == []
    assert result.acknowledged >= JOBS
    assert sum(result.deeds.done.values()) >= 2
