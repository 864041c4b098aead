"""How slowly a body may arrive: a client that drips holds a connection, and a place among the uploads.

In: what ASGI calls `receive`. Out: the same, that refuses a body which stalls. Only waiting for the client counts,
never the time in which we store what came.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from runtime.errors import Refused

IDLE_TIMEOUT_S = 60.0
# A body may take this long, and a second more for every thousand bytes.
BODY_TIMEOUT_S = 60.0
LEAST_BYTES_PER_S = 1_000

Message = MutableMapping[str, Any]


class Paced:
    """The messages of one request."""

    def __init__(self, receive: Callable[[], Awaitable[Message]]) -> None:
        self._receive = receive
        self._whole = False
        self._waited_s = 0.0
        self._bytes = 0

    async def __call__(self) -> Message:
        """The next message; raises Refused. After the body one may wait for the client to leave for ever."""
        if self._whole:
            return await self._receive()
        allowed_s = BODY_TIMEOUT_S + self._bytes / LEAST_BYTES_PER_S - self._waited_s
        began = time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, min(IDLE_TIMEOUT_S, allowed_s))):
                message = await self._receive()
        except TimeoutError as error:
            raise Refused("upload_stalled", f"The body stalled after {self._bytes} bytes.") from error
        self._waited_s += time.monotonic() - began
        self._bytes += len(message.get("body", b""))
        self._whole = message["type"] != "http.request" or not message.get("more_body", False)
        return message
