"""Outcomes of requests: one LISTEN connection of this process, and everyone who waits for it.

In: notifications `palimpsest_outcome` whose payload is the cause of a fact that was just projected. Out: waiters wake.
A notification is only a hint: every waiter reads its row itself, and all of them do after a reconnect, because what
was said while the connection was away is lost.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import psycopg

from runtime.postgres import CONNECT_TIMEOUT_S, KEEPALIVE, cut_after
from runtime.telemetry import logger

CHANNEL = "palimpsest_outcome"
PAUSE_S = 0.5
CHECK_S = 5.0
ANSWER_S = 3.0  # a server that takes longer for a bare SELECT counts as away

T = TypeVar("T")
log = logger(__name__)


class Outcomes:
    """Wakes whoever waits for a cause, and whoever follows all that happens."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._followers: set[asyncio.Event] = set()
        self.connected = False

    async def run(self) -> None:
        """Listens until cancelled; a lost connection is made again."""
        while True:
            try:
                await self._listen()
            except psycopg.Error as error:
                self.connected = False
                log.warning("lost the outcomes", action="outcomes.lost", trouble=type(error).__name__)
                await asyncio.sleep(PAUSE_S)

    async def _listen(self) -> None:
        connection = await psycopg.AsyncConnection.connect(
            self._dsn, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S, **KEEPALIVE
        )
        async with connection:
            await connection.execute(f"LISTEN {CHANNEL}".encode())
            self.connected = True
            self._wake_all()
            while True:
                async for said in connection.notifies(timeout=CHECK_S):
                    self._wake(said.payload)
                # Only a query finds out that the other end is gone; none may run while `notifies` does.
                async with cut_after(ANSWER_S, connection):
                    await connection.execute(b"SELECT 1")

    def _wake(self, cause_id: str) -> None:
        for event in (*self._waiting.get(cause_id, ()), *self._followers):
            event.set()

    def _wake_all(self) -> None:
        for event in (*(e for waiting in self._waiting.values() for e in waiting), *self._followers):
            event.set()

    @contextmanager
    def expecting(self, cause_id: str) -> Iterator[asyncio.Event]:
        """An event that is set when the cause has an outcome; begin before the cause is produced."""
        event = asyncio.Event()
        self._waiting[cause_id].add(event)
        try:
            yield event
        finally:
            self._waiting[cause_id].discard(event)
            if not self._waiting[cause_id]:
                del self._waiting[cause_id]

    @contextmanager
    def following(self) -> Iterator[asyncio.Event]:
        """An event that is set whenever anything happened; clear it before you read."""
        event = asyncio.Event()
        self._followers.add(event)
        try:
            yield event
        finally:
            self._followers.discard(event)


async def first_outcome(event: asyncio.Event, read: Callable[[], Awaitable[T | None]], timeout_s: float) -> T | None:
    """What `read` finds once the event is set, None when the time is over; reads once more at the end."""
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                await event.wait()
                event.clear()
                if (found := await read()) is not None:
                    return found
    except TimeoutError:
        return await read()
