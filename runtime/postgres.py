"""PostgreSQL: connections, tables and named SQL.

In: a DSN and `.sql` files. Out: connections whose errors are ours, and text of named queries.
A server that hangs is like one that is away: who must answer in time cuts a connection that says nothing for too long.
The tables of all packages are applied together by `palimpsest schema apply`; processes only check the version.
"""

import asyncio
import hashlib
import os
import re
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import cache
from importlib.resources import files
from typing import Any

import psycopg
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from runtime.errors import Misconfigured, Unavailable
from runtime.faults import crash_point

Connection = psycopg.Connection[TupleRow]
AsyncConnection = psycopg.AsyncConnection[TupleRow]
CONNECT_TIMEOUT_S = 5
STATEMENT_TIMEOUT_MS = 60_000
# Whoever hangs inside a transaction would hold its locks, and with them a partition, for as long as it hangs.
IDLE_IN_TRANSACTION_TIMEOUT_MS = 60_000
_OPTIONS = (
    f"-c statement_timeout={STATEMENT_TIMEOUT_MS}"
    f" -c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_TIMEOUT_MS}"
)
# A machine that is gone says nothing: without these its connections would wait for hours.
KEEPALIVE: Mapping[str, Any] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
BORROWED_LIMIT_S = 60.0
_AWAY = (psycopg.OperationalError, psycopg.errors.IdleInTransactionSessionTimeout)
_SCHEMA_LOCK = 7_260_001  # any number, the same in every version of this program
_BLOCK = re.compile(r"^-- name: (\w+)[^\n]*\n", re.MULTILINE)

# Every package that owns tables, in the order in which they are created.
TABLE_OWNERS: tuple[str, ...] = (
    "runtime",
    "streams.chunker",
    "streams.assembler",
    "projections.jobs",
    "projections.transcripts",
    "projections.history",
    "projections.search",
    "projections.rebuilding",
    "api.accounts",
    "api.requests",
    "effects",
)


class SchemaOutdated(Misconfigured):
    """The database's tables are not this program's; run `palimpsest schema apply`."""


@cache
def load_sql(package: str, file: str = "queries.sql") -> Mapping[str, str]:
    """Statements of a `.sql` file by name; each block starts with a line `-- name: <name>`."""
    text = (files(package) / file).read_text(encoding="utf-8")
    parts = _BLOCK.split(text)
    return dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))


@contextmanager
def connection(dsn: str, *, autocommit: bool = False) -> Iterator[Connection]:
    """A connection that is closed at the end; a lost database raises Unavailable."""
    try:
        with psycopg.connect(
            dsn,
            autocommit=autocommit,
            connect_timeout=CONNECT_TIMEOUT_S,
            options=_OPTIONS,
            **KEEPALIVE,
        ) as conn:
            yield conn
    except _AWAY as error:
        raise Unavailable(f"PostgreSQL: {_kind(error)}") from error


@asynccontextmanager
async def async_connection(dsn: str) -> AsyncIterator[AsyncConnection]:
    """The same for async code that has no pool: one in autocommit."""
    try:
        async with await psycopg.AsyncConnection.connect(
            dsn,
            autocommit=True,
            connect_timeout=CONNECT_TIMEOUT_S,
            options=_OPTIONS,
            **KEEPALIVE,
        ) as conn:
            yield conn
    except _AWAY as error:
        raise Unavailable(f"PostgreSQL: {_kind(error)}") from error


class Pool(AsyncConnectionPool[AsyncConnection]):
    """A pool that knows how long one of its connections may be borrowed."""

    limit_s = BORROWED_LIMIT_S


def pool(dsn: str, *, minimum: int = 1, maximum: int = 8, limit_s: float = BORROWED_LIMIT_S) -> Pool:
    """A closed pool of connections for the async processes; open it with `async with`."""
    connections = Pool(
        dsn,
        min_size=minimum,
        max_size=maximum,
        open=False,
        timeout=CONNECT_TIMEOUT_S,
        kwargs={"options": _OPTIONS, "connect_timeout": CONNECT_TIMEOUT_S, **KEEPALIVE},
    )
    connections.limit_s = limit_s
    return connections


@contextmanager
def transaction(conn: Connection, commit: str) -> Iterator[None]:
    """A transaction whose end is the crash point `commit`."""
    with crash_point(commit, psycopg.OperationalError), conn.transaction():
        yield


@asynccontextmanager
async def borrowed(connections: Pool, commit: str = "") -> AsyncIterator[AsyncConnection]:
    """A connection of the pool in one transaction; a lost or hanging database raises Unavailable.

    It can only read, and sees one moment, unless the crash point is named that its end is.
    """
    try:
        async with connections.connection() as conn, cut_after(connections.limit_s, conn):
            await _set_reading(conn, not commit)
            if not commit:
                yield conn
                return
            with crash_point(commit, psycopg.OperationalError):
                async with conn.transaction():
                    yield conn
    except (*_AWAY, PoolTimeout) as error:
        raise Unavailable(f"PostgreSQL: {_kind(error)}") from error


@asynccontextmanager
async def snapshot(conn: AsyncConnection) -> AsyncIterator[None]:
    """The same for a connection of one's own: whatever the block reads is of one moment."""
    await _set_reading(conn, True)
    async with conn.transaction():
        yield


async def _set_reading(conn: AsyncConnection, reading: bool) -> None:
    """Whoever reads sees one moment: else two statements may both miss a job that moves from one table to another."""
    await conn.set_read_only(reading)
    await conn.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ if reading else None)


def _kind(error: Exception) -> str:
    """What went wrong, without the detail and context that would quote rows and statements."""
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return primary or str(error).partition("\n")[0]


@asynccontextmanager
async def cut_after(limit_s: float, conn: AsyncConnection) -> AsyncIterator[None]:
    """Ends the connection when the block takes longer: what waits in it raises psycopg's OperationalError.

    A cancellation would not do: the driver then asks the same hanging server to end the query, and waits for that.
    """
    timer = asyncio.get_running_loop().call_later(limit_s, _cut, conn)
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def answered_within(limit_s: float, conn: Connection) -> Iterator[None]:
    """The same for a block, in a thread, that waits for nothing but the database; raises Unavailable.

    Also where the block belongs to a generator, whose errors do not pass through the one that made the connection.
    """
    timer = threading.Timer(limit_s, _cut, (conn,))
    timer.daemon = True
    timer.start()
    try:
        yield
    except _AWAY as error:
        raise Unavailable(f"PostgreSQL: {_kind(error)}") from error
    finally:
        timer.cancel()


def _cut(conn: AsyncConnection | Connection) -> None:
    with suppress(psycopg.OperationalError, OSError), socket.socket(fileno=os.dup(conn.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)


@cache
def _tables() -> tuple[str, ...]:
    return tuple((files(owner) / "tables.sql").read_text(encoding="utf-8") for owner in TABLE_OWNERS)


def schema_version() -> str:
    """Fingerprint of all `tables.sql`."""
    return hashlib.sha256("\n".join(_tables()).encode()).hexdigest()[:16]


def apply_schema(dsn: str) -> str:
    """Creates what is missing, under a lock so that any number of starters may call it; returns the version."""
    with connection(dsn) as conn:
        conn.execute("SELECT pg_advisory_xact_lock(%s)", (_SCHEMA_LOCK,))
        for text in _tables():
            conn.execute(text.encode())
        conn.execute(
            "INSERT INTO schema_version (version) VALUES (%s) ON CONFLICT DO NOTHING",
            (schema_version(),),
        )
    return schema_version()


def check_schema(conn: psycopg.Connection[Any]) -> None:
    """Raises SchemaOutdated unless this program's tables were applied."""
    try:
        with conn.transaction():
            row = conn.execute("SELECT 1 FROM schema_version WHERE version = %s", (schema_version(),)).fetchone()
    except psycopg.errors.UndefinedTable:
        row = None
    if row is None:
        raise SchemaOutdated(f"tables of version {schema_version()} are missing; run `palimpsest schema apply`")
