"""Each disk full under load, one after the other: every answer is clear, a metric tells, and all goes on by itself.

Not collected by itself, because it takes over a minute: `make full-disks`. Longer: `make outages ARGS="--way fill"`.
"""

from collections.abc import Iterator

import pytest

from api.accounts.keys import create_key
from bench.load import Load
from bench.outages import FILL, STUB, Outage, measure
from bench.small_disks import SIZES_MB, SmallDisks
from local.layout import CHECKOUT
from tests.deadline import until
from tests.e2e.conftest import TENANT
from tests.port_bases import free_port_base

FULL_S = 4.0
JOBS_PER_S = 2.0
FIRST_PROMISE_S = 60.0
# A whole stack starts, perhaps on a machine that others use.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def stack() -> Iterator[SmallDisks]:
    own = SmallDisks(CHECKOUT / ".palimpsest" / "test-full-disks", free_port_base(), STUB)
    try:
        if refused := own.mount():
            pytest.skip(f"mounting is refused: {refused}")
        own.start()
        yield own
    finally:
        own.stop()
        own.wipe()


@pytest.fixture(scope="module")
def outages(stack: SmallDisks) -> Iterator[dict[str, Outage]]:
    """What each full disk did, on one stack under one load, and under the supervisor that restarts what ends."""
    key = create_key(stack.shared_settings()["PALIMPSEST_POSTGRES_DSN"], TENANT, "load")
    load = Load(f"http://{stack.site.address('api')}", key, JOBS_PER_S)
    with load.running():
        until(lambda: load.promised, FIRST_PROMISE_S, "the first upload is accepted")
        yield {disk: measure(stack, load, disk, FILL, FULL_S) for disk in SIZES_MB}


@pytest.mark.parametrize("disk", SIZES_MB)
def test_nothing_is_lost_and_every_answer_is_clear(outages: dict[str, Outage], disk: str) -> None:
    print(outages[disk])
    assert outages[disk].faults == ()
    assert outages[disk].promised > 0


def test_only_what_cannot_be_kept_is_refused(outages: dict[str, Outage]) -> None:
    assert outages["temporary"].refused == 0
    assert all(outages[disk].refused > 0 for disk in ("kafka", "postgres", "s3"))
