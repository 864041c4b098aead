"""What a sweep that has to wait does: it is tried again soon, however rarely it is due."""

from typing import cast

import pytest

from effects.schedule import RETRY_S, Sweep, run_all
from effects.world import World
from runtime.errors import Unavailable
from runtime.health import Health


class Enough(Exception):
    """The sweep ran as often as the test wants."""


async def test_a_sweep_that_waits_is_tried_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    outcomes = iter((Unavailable("views are behind"), None, Unavailable("S3 is away"), Enough()))

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    async def sweep(_: World) -> int:
        if (outcome := next(outcomes)) is not None:
            raise outcome
        return 0

    monkeypatch.setattr("effects.schedule.asyncio.sleep", pause)
    rare = Sweep(name="rare", period_s=3_600.0, run=sweep)
    with pytest.raises(ExceptionGroup):
        await run_all(cast(World, None), Health(), (rare,))
    assert pauses == [RETRY_S, 3_600.0, RETRY_S]
