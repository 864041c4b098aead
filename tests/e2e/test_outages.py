"""Each engine away and each disk full, one after the other under load, and nobody lends a hand.

Every answer is clear, every promise is kept, a metric tells of a full disk. A minute of each, in all ways:
`make outages`.
"""

from collections.abc import Iterator

import pytest

from api.accounts.keys import create_key
from bench.load import Load
from bench.outages import FILL, Outage, measure
from bench.processes import STUB
from bench.small_disks import SIZES_MB, SmallDisks
from local.layout import CHECKOUT
from tests.deadline import until
from tests.e2e.conftest import TENANT
from tests.port_bases import free_port_base

OUTAGE_S = 2.0
FULL_S = 4.0
JOBS_PER_S = 1.0
AWAY = (
    ("kafka", "stop"),
    ("registry", "stop"),
    ("postgres", "stop"),
    ("postgres", "pause"),
    ("opensearch", "pause"),
    ("s3", "stop"),
)
FULL = tuple((disk, FILL) for disk in SIZES_MB)
FIRST_PROMISE_S = 60.0
# A second set of engines starts, perhaps on a machine that others use.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def stack() -> Iterator[SmallDisks]:
    """A stack that may be harmed: others' tests run on the common engines meanwhile."""
    own = SmallDisks(CHECKOUT / ".palimpsest" / "test-outages", free_port_base(), STUB)
    try:
        own.mount()
        own.start()
        yield own
    finally:
        own.stop()
        own.wipe()


@pytest.fixture(scope="module")
def outages(stack: SmallDisks) -> Iterator[dict[tuple[str, str], Outage]]:
    """What each outage did, under one load and the supervisor that restarts what ends."""
    key = create_key(stack.shared_settings()["PALIMPSEST_POSTGRES_DSN"], TENANT, "load")
    load = Load(f"http://{stack.site.address('api')}", key, JOBS_PER_S)
    full = () if stack.refused else FULL
    with load.running():
        until(lambda: load.promised, FIRST_PROMISE_S, "the first upload is accepted")
        yield {
            (name, way): measure(stack, load, name, way, FULL_S if way == FILL else OUTAGE_S)
            for name, way in AWAY + full
        }


@pytest.fixture
def full(stack: SmallDisks) -> None:
    """Only where disks may be mounted."""
    if stack.refused:
        pytest.skip(f"mounting is refused: {stack.refused}")


@pytest.mark.parametrize(("name", "way"), AWAY)
def test_nothing_is_lost_while_an_engine_is_away(outages: dict[tuple[str, str], Outage], name: str, way: str) -> None:
    outage = outages[name, way]
    assert outage.faults == ()
    assert outage.calls > 0 and outage.promised > 0


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize(("name", "way"), FULL)
def test_nothing_is_lost_while_a_disk_is_full(outages: dict[tuple[str, str], Outage], name: str, way: str) -> None:
    outage = outages[name, way]
    assert outage.faults == ()
    assert outage.promised > 0


def test_only_what_needs_the_engine_is_refused(outages: dict[tuple[str, str], Outage]) -> None:
    needed = [place for place in AWAY if place[0] in ("kafka", "postgres", "s3")]
    assert outages["registry", "stop"].refused == 0
    assert all(outages[place].refused > 0 for place in needed)


@pytest.mark.usefixtures("full")
def test_only_what_cannot_be_kept_is_refused(outages: dict[tuple[str, str], Outage]) -> None:
    assert outages["temporary", FILL].refused == 0
    assert all(outages[disk, FILL].refused > 0 for disk in ("kafka", "postgres", "s3"))
