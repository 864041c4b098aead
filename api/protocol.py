"""HTTP as the server speaks it, with an end to heads: in bytes and in time.

In: uvicorn's protocol. Out: the same, that does not hold a connection for a client who never finishes asking.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from runtime.telemetry import logger

HEAD_TIMEOUT_S = 20.0
MAX_HEAD_BYTES = 32_768

log = logger(__name__)


class BoundedHeads(HttpToolsProtocol):
    """Request line and headers must be there in 20 s, and be no longer than 32 KiB."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._in_head = True
        self._completed = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the class above
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._completed = False
        super().data_received(data)
        # What was read with the end of another message is mostly that: a client that was refused early sends the rest
        # of its body, and may ask again in the same breath. The next piece is all of the head, and counts.
        if self._in_head and not self._completed:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._give_up("The head of the request is too long.")

    def on_message_begin(self) -> None:
        self._await_head()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._completed = True
        super().on_message_complete()

    def _await_head(self) -> None:
        self._head_bytes, self._in_head = 0, True
        self._stop_timer()
        self._timer = self.loop.call_later(HEAD_TIMEOUT_S, self._give_up, "The request took too long to begin.")

    def _count(self, size: int) -> None:
        """The parser answers an error of ours as it answers a malformed request."""
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            raise ValueError("the head of the request is too long")

    def _give_up(self, why: str) -> None:
        if not self.transport.is_closing():
            log.info("a request was given up before its head ended", action="head.given_up", why=why)
            self.send_400_response(why)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
