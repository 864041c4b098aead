"""How slowly a body may arrive."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from api import pace
from api.pace import Message, Paced
from runtime.errors import Refused


def client(*messages: Message, pause_s: float = 0.0) -> Callable[[], Awaitable[Message]]:
    """A client who sends these with a pause before each, and then nothing."""
    left = list(messages)

    async def receive() -> Message:
        await asyncio.sleep(pause_s if left else 3_600)
        return left.pop(0)

    return receive


def piece(size: int, more: bool = True) -> Message:
    return {"type": "http.request", "body": b"x" * size, "more_body": more}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "IDLE_TIMEOUT_S", 0.2)
    monkeypatch.setattr(pace, "BODY_TIMEOUT_S", 0.5)


async def test_a_body_comes_through() -> None:
    paced = Paced(client(piece(3), piece(2, more=False)))
    assert [len((await paced())["body"]), len((await paced())["body"])] == [3, 2]


async def test_a_body_that_stops_is_refused(impatient: None) -> None:
    paced = Paced(client(piece(3)))
    await paced()
    with pytest.raises(Refused) as caught:
        await paced()
    assert caught.value.code == "upload_stalled"


async def test_a_body_that_drips_is_refused_and_one_that_flows_is_not(impatient: None) -> None:
    dripping = Paced(client(*[piece(1)] * 60, pause_s=0.05))
    with pytest.raises(Refused):
        for _ in range(60):
            await dripping()
    flowing = Paced(client(*[piece(1_000)] * 12, pause_s=0.05))
    for _ in range(12):
        await flowing()


async def test_after_the_body_one_may_wait_for_ever(impatient: None) -> None:
    paced = Paced(client(piece(1, more=False)))
    await paced()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.6):
            await paced()
