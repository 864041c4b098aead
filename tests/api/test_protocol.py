"""Heads of requests come to an end."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from api import protocol
from api.protocol import MAX_HEAD_BYTES, BoundedHeads


async def _app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT_S", 0.5)
    config = uvicorn.Config(_app, port=0, http=BoundedHeads, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  # the server has no event for it
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await task


async def _answer(port: int, *pieces: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for each in pieces:
            writer.write(each)
            await writer.drain()
        async with asyncio.timeout(20):
            return await reader.read(65_536)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_an_ordinary_request_is_answered(port: int) -> None:
    assert b" 204 " in await _answer(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")


async def test_a_head_that_comes_behind_the_rest_of_a_refused_body_is_read(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a client sends that was refused early, finishes its body nevertheless, and asks again."""
    begin, begun = BoundedHeads.on_message_begin, asyncio.Semaphore(0)

    def noted(each: BoundedHeads) -> None:
        begin(each)
        begun.release()

    monkeypatch.setattr(BoundedHeads, "on_message_begin", noted)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head % (MAX_HEAD_BYTES + 1))
    assert b" 204 " in await reader.read(65_536)
    await begun.acquire()
    writer.write(b"y" * (MAX_HEAD_BYTES + 1) + b"GET / HTTP/1.1\r\nHo")
    async with asyncio.timeout(20):
        await begun.acquire()  # it is read before the rest is there
        writer.write(b"st: x\r\n\r\n")
        assert b" 204 " in await reader.read(65_536)
    writer.close()


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX: y"])
async def test_a_head_that_never_ends_is_given_up(port: int, begun: bytes) -> None:
    assert b" 400 " in await _answer(port, begun)


@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"])
async def test_a_head_that_is_too_long_is_given_up(port: int, end: bytes) -> None:
    said = await _answer(port, b"GET / HTTP/1.1\r\nX: " + b"y" * (MAX_HEAD_BYTES * 2) + end)
    assert b" 204 " not in said
