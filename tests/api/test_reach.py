"""One question serves all who ask at once, and an answer stays fresh for a moment only."""

import asyncio

import pytest

from api import reach
from api.reach import Engines, Reach
from runtime.errors import Unavailable


class Engine:
    """An engine whose answers are given by hand."""

    def __init__(self) -> None:
        self.there = True
        self.asked = 0
        self.now = 0.0

    async def question(self) -> bool:
        self.asked += 1
        await asyncio.sleep(0)
        if not self.there:
            raise ConnectionRefusedError
        return True


async def test_everybody_who_asks_at_once_shares_one_question() -> None:
    engine = Engine()
    door = Reach("kafka", engine.question, clock=lambda: engine.now)
    assert await asyncio.gather(*(door.answers() for _ in range(50))) == [True] * 50
    assert engine.asked == 1
    engine.now = reach.FRESH_S + 0.1
    await door.answers()
    assert engine.asked == 2


async def test_one_that_is_away_is_refused_and_soon_asked_again() -> None:
    engine = Engine()
    door = Reach("kafka", engine.question, clock=lambda: engine.now)
    engine.there = False
    with pytest.raises(Unavailable, match="kafka"):
        await door.require()
    engine.there = True
    engine.now = reach.FRESH_AWAY_S + 0.1
    await door.require()


async def test_one_that_hangs_counts_as_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "CHECK_TIMEOUT_S", 0.05)

    async def never() -> bool:
        await asyncio.Event().wait()
        return True

    engines = Engines({"kafka": never, "search": Engine().question})
    assert await engines.answers() == {"kafka": False, "search": True}
    await engines.require("search")
    with pytest.raises(Unavailable):
        await engines.require("search", "kafka")
