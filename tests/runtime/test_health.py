"""A worker is unhealthy when there is work and nothing moves, and only then."""

import json
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from runtime import telemetry
from runtime.health import STUCK_AFTER_S, Health, serve


class Clock:
    """A clock that the test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(clock)


def _healthy(health: Health) -> bool:
    return health.report()[0]


def test_not_healthy_before_it_is_ready(health: Health) -> None:
    assert not _healthy(health)
    health.ready()
    assert _healthy(health)


def test_lag_that_does_not_move_is_unhealthy(health: Health, clock: Clock) -> None:
    health.ready()
    health.lag(3)
    clock.now += STUCK_AFTER_S + 1
    assert not _healthy(health)
    health.moved()
    assert _healthy(health)


def test_no_work_is_healthy_for_ever(health: Health, clock: Clock) -> None:
    health.ready()
    health.lag(0)
    clock.now += 100 * STUCK_AFTER_S
    assert _healthy(health)


def test_a_broker_that_is_away_is_nobodys_fault(health: Health, clock: Clock) -> None:
    health.ready()
    health.lag(3)
    health.broker(False)
    clock.now += STUCK_AFTER_S + 1
    assert _healthy(health)
    health.broker(True)
    assert _healthy(health), "after the broker is back, the worker has time to move"
    clock.now += STUCK_AFTER_S + 1
    assert not _healthy(health)


def test_it_is_served_over_http(health: Health) -> None:
    server = serve(health, 0, "127.0.0.1")
    base = f"http://127.0.0.1:{server.server_port}"
    with pytest.raises(HTTPError) as refused:
        urlopen(f"{base}/healthz")
    assert refused.value.code == 503
    refused.value.close()
    health.detail(model="stub")
    health.ready()
    with urlopen(f"{base}/healthz") as answer:
        assert json.load(answer)["model"] == "stub"
    with urlopen(f"{base}/metrics") as answer:
        assert next(iter(telemetry.records_in.describe())).name.encode() in answer.read()
    server.shutdown()
    server.server_close()
