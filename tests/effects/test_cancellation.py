"""Whoever is told to end ends, even where a library swallowed the telling."""

import asyncio
from contextlib import suppress
from typing import cast

import pytest

from effects.cancellation import heed_cancellation
from effects.schedule import Sweep, run_all
from effects.world import World
from runtime.health import Health

LIMIT_S = 10.0


async def deaf(_: World) -> int:
    """Swallows the first cancellation, as `wait_for` of Python 3.11 may."""
    with suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    return 0


def test_sweeps_end_when_a_cancellation_is_swallowed() -> None:
    async def scenario() -> None:
        nowhere = cast(World, None)
        sweeps = tuple(Sweep(name=name, period_s=0.001, run=deaf) for name in ("one", "two"))
        work = asyncio.create_task(run_all(nowhere, Health(), sweeps))
        for _ in range(5):
            await asyncio.sleep(0)  # until both sweeps run
        work.cancel()
        done, _ = await asyncio.wait({work}, timeout=LIMIT_S)
        assert done == {work} and work.cancelled()

    asyncio.run(scenario())


def test_nobody_ends_who_was_not_told_to() -> None:
    async def scenario() -> None:
        heed_cancellation()
        task = asyncio.create_task(deaf(cast(World, None)))
        await asyncio.sleep(0)
        task.cancel()
        assert await task == 0
        heed_cancellation()

    asyncio.run(scenario())
    with pytest.raises(RuntimeError):
        heed_cancellation()  # outside of any task there is nothing to heed
