"""Each engine away under load, one after the other: every answer is clear, every promise is kept, nobody lends a hand.

The minute-long outages, stopped and paused, are `make outages`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.accounts.keys import create_key
from bench.load import Load
from bench.outages import Outage, measure
from local.layout import CHECKOUT
from local.stack import Stack
from local.workspace import fresh_workspace
from tests.deadline import until
from tests.e2e.conftest import STUB, TENANT, restarted, running_pipeline
from tests.port_bases import free_port_base

OUTAGE_S = 2.0
JOBS_PER_S = 2.0
WAYS = {"kafka": "stop", "registry": "stop", "postgres": "pause", "opensearch": "pause", "s3": "stop"}
FIRST_PROMISE_S = 60.0
# A second set of engines starts, perhaps on a machine that others use.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def engines() -> Iterator[Stack]:
    """Engines that may be stopped: others' tests run on the common ones meanwhile."""
    own = Stack(CHECKOUT / ".palimpsest" / "test-outages", free_port_base())
    try:
        own.start_engines()
        yield own
    finally:
        own.stop()
        own.wipe()


@pytest.fixture(scope="module")
def outages(engines: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Outage]]:
    """What each outage did; one pipeline for all of them."""
    logs: Path = tmp_path_factory.mktemp("logs")
    with (
        fresh_workspace(engines.shared_settings()) as workspace,
        running_pipeline({**workspace, **STUB}, logs) as pipeline,
        restarted(pipeline),
    ):
        key = create_key(pipeline.settings.postgres_dsn, TENANT, "load")
        load = Load(pipeline.processes.api_url, key, JOBS_PER_S)
        with load.running():
            until(lambda: load.promised, FIRST_PROMISE_S, "the first upload is accepted")
            yield {engine: measure(engines, load, engine, way, OUTAGE_S) for engine, way in WAYS.items()}


@pytest.mark.parametrize("engine", WAYS)
def test_nothing_is_lost_and_every_answer_is_clear(outages: dict[str, Outage], engine: str) -> None:
    outage = outages[engine]
    assert outage.faults == ()
    assert outage.calls > 0 and outage.promised > 0


def test_only_what_needs_the_engine_is_refused(outages: dict[str, Outage]) -> None:
    assert outages["registry"].refused == 0
    assert all(outages[engine].refused > 0 for engine in ("kafka", "postgres", "s3"))
