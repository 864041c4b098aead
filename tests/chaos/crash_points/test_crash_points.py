"""Every crash point with every kind of fault: each job ends as it does without one.

All cells run with `make crash-points`; otherwise a part of them, another one each day.
"""

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from local.settings import STUB_ENGINES
from runtime.faults import Kind
from runtime.settings import Settings
from tests.chaos.crash_points.harness import Harness, Supervised, ordinary
from tests.chaos.crash_points.matrix import LONG, WITHOUT_INDEX, Cell, cells, some
from tests.crash_sites import sites, sources
from tests.e2e.conftest import free_ports
from tests.e2e.processes import Processes

ALL = "CRASH_POINTS"
DAY_S = 86_400
# Of so many parts one runs a day.
PARTS = 45

SITES = sites(sources())
CELLS = cells(SITES)


@pytest.fixture(scope="module")
def harness(module_workspace: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    """All processes but the chunker of long uploads, with a folder of orders."""
    orders: Path = tmp_path_factory.mktemp("orders")
    settings = {
        **module_workspace,
        **STUB_ENGINES,
        "PALIMPSEST_FAULT_DIR": str(orders),
        "PALIMPSEST_NUDGE_PERIOD_S": "2",
        "PALIMPSEST_SETTLE_S": "15",
    }
    processes = Processes(settings, tmp_path_factory.mktemp("logs"), free_ports([*ordinary(), LONG]))
    supervised = Supervised(processes)
    with supervised.watched():
        supervised.start(*ordinary())
        made = Harness(Settings.read(settings), supervised, orders)
        yield made
        made.close()


def _chosen() -> list[Cell]:
    if os.environ.get(ALL):
        wanted = os.environ[ALL].split(",")
        return [cell for cell in CELLS if wanted == ["all"] or any(part in cell.order for part in wanted)]
    return some(CELLS, int(time.time() / DAY_S), PARTS)


def test_every_site_has_every_kind() -> None:
    assert {(cell.site, cell.kind) for cell in CELLS} == {(site, kind) for site in SITES for kind in Kind}
    assert len(CELLS) == len(SITES) * len(Kind)


@pytest.mark.timeout(7_200)
def test_every_fault_ends_in_the_fault_free_result(harness: Harness) -> None:
    chosen, began = _chosen(), time.monotonic()
    harness.without_index([cell for cell in chosen if cell.effect in WITHOUT_INDEX])
    usual = [cell for cell in chosen if not cell.long and cell.effect not in WITHOUT_INDEX]
    harness.without_faults((cell.journey, False) for cell in usual)
    harness.run(usual)
    if long := [cell for cell in chosen if cell.long]:
        harness.start_long()
        harness.without_faults((cell.journey, True) for cell in long)
        harness.run(long)
    harness.verify_log()
    report = harness.report
    print(
        f"\n{len(SITES)} sites, {len(Kind)} kinds; {report.cells} cells, {report.fired} fired, {report.jobs} jobs, "
        f"{harness.restarts} restarts, {len(report.failures)} failures, {time.monotonic() - began:.0f} s"
    )
    assert report.failures == [], "\n".join(report.failures)
    assert report.fired == report.cells == len(chosen)
