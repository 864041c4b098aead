"""What surrounds every request."""

import asyncio
import json
from typing import Any

import pytest

from api.tracing import Message, Receive, Scope, Send, Traced

SCOPE: dict[str, Any] = {"type": "http", "method": "POST"}


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def test_who_still_waits_when_the_server_ends_is_told_to_try_again() -> None:
    begun, said = asyncio.Event(), list[Message]()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await asyncio.Event().wait()

    async def send(message: Message) -> None:
        said.append(message)

    request = asyncio.create_task(Traced(app)(SCOPE, _receive, send))
    await begun.wait()
    request.cancel()  # as the server does when its grace period is over
    await request
    assert (said[0]["status"], json.loads(said[1]["body"])["code"]) == (503, "unavailable")
    assert dict(said[0]["headers"])[b"retry-after"] == b"5"


async def test_an_answer_that_has_begun_is_not_begun_again() -> None:
    begun, said = asyncio.Event(), list[Message]()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        begun.set()
        await asyncio.Event().wait()

    async def send(message: Message) -> None:
        said.append(message)

    request = asyncio.create_task(Traced(app)(SCOPE, _receive, send))
    await begun.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert [message["type"] for message in said] == ["http.response.start"]
