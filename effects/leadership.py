"""One process of several does the sweeps: whoever holds the advisory lock.

In: a DSN and work. Out: the work runs while the lock's connection lives. Two leaders for a moment would be harmless,
because every sweep may be repeated; the lock only saves the repetition.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import psycopg

from effects.cancellation import heed_cancellation
from runtime.postgres import CONNECT_TIMEOUT_S
from runtime.telemetry import logger

LOCK = 7_260_002  # any number, the same in every version of this program
PAUSE_S = 2.0

log = logger(__name__)


async def lead(dsn: str, work: Callable[[], Coroutine[Any, Any, None]], on_try: Callable[[], None]) -> None:
    """Runs `work` whenever this process leads; raises what `work` raises."""
    while True:
        try:
            connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S)
            async with connection:
                on_try()
                if await _locked(connection):
                    log.info("leads", action="leadership.won")
                    await _while_connected(connection, work)
        except psycopg.Error as error:
            log.warning("PostgreSQL is away", action="leadership.wait", trouble=type(error).__name__)
        heed_cancellation()
        await asyncio.sleep(PAUSE_S)


async def _locked(connection: psycopg.AsyncConnection[Any]) -> bool:
    answer = await connection.execute(b"SELECT pg_try_advisory_lock(%s)", (LOCK,))
    row = await answer.fetchone()
    return bool(row and row[0])


async def _while_connected(
    connection: psycopg.AsyncConnection[Any], work: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    """Stops the work when the connection is lost, and with it the lock."""
    running = asyncio.create_task(work())
    try:
        while not running.done():
            await connection.execute(b"SELECT 1")
            heed_cancellation()
            await asyncio.wait({running}, timeout=PAUSE_S)
        running.result()
    finally:
        running.cancel()
        await asyncio.wait({running})
