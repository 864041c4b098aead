"""A client whose group forgot it ends its process; one that waits for a broker or has no share does not."""

import pytest

from runtime.membership import LIMIT_S, Membership


class World:
    """A clock, and whether the process was ended."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.ended = False
        self.membership = Membership(clock=lambda: self.now_s, bite=self._end)

    def _end(self) -> None:
        self.ended = True

    def wait(self, seconds: float, *, broker_answers: bool = True) -> None:
        self.now_s += seconds
        self.membership.watch(broker_answers)


@pytest.fixture
def world() -> World:
    return World()


def test_who_never_gets_its_share_back_ends(world: World) -> None:
    world.membership.joined()
    world.membership.left()
    world.wait(LIMIT_S - 1)
    assert not world.ended
    world.wait(2)
    assert world.ended


def test_a_share_that_comes_in_time_is_enough(world: World) -> None:
    world.membership.left()
    world.wait(LIMIT_S - 1)
    world.membership.joined()
    world.wait(10 * LIMIT_S)
    assert not world.ended


def test_time_without_a_broker_does_not_count(world: World) -> None:
    world.membership.left()
    world.wait(10 * LIMIT_S, broker_answers=False)
    world.wait(LIMIT_S - 1)
    assert not world.ended


def test_before_it_wants_to_join_nobody_waits(world: World) -> None:
    world.wait(10 * LIMIT_S)
    assert not world.ended
