"""PostgreSQL tables written anew, so that what was deleted leaves the disk.

In: a DSN. Out: tables without dead rows, and a write-ahead log without them where this user may see to that.
A plain VACUUM only frees the room of a deleted row: its bytes stay in the page until another row is written over them.
A rewrite holds an exclusive lock on one table for as long as it takes, so the caller says how large a table may be.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg import sql

from runtime.postgres import Connection, connection, load_sql

LOCK_TIMEOUT_MS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """What was deleted before `through` is in no file of the tables any more, but for those in `left`."""

    through: datetime
    tables: tuple[str, ...]
    left: tuple[str, ...]


def rewrite_tables(dsn: str, smallest_bytes: int, largest_bytes: int) -> Rewritten:
    """Rewrites all tables whose size lies between; one that is locked for long is left for the next time."""
    queries = load_sql("runtime")
    done: list[str] = []
    left: list[str] = []
    with connection(dsn, autocommit=True) as conn:
        conn.execute(queries["allow_rewrite"].encode(), {"lock_timeout": f"{LOCK_TIMEOUT_MS}ms"})
        # Rows that an older transaction may still see are kept by a rewrite.
        row = conn.execute(queries["horizon"].encode()).fetchone()
        assert row is not None
        sizes = {"smallest_bytes": smallest_bytes, "largest_bytes": largest_bytes}
        for schema, name in conn.execute(queries["tables_between"].encode(), sizes).fetchall():
            (done if _rewritten(conn, schema, name) else left).append(name)
        if done:
            _drop_log(conn, queries["switch_log"])
    return Rewritten(through=row[0], tables=tuple(done), left=tuple(left))


def _rewritten(conn: Connection, schema: str, name: str) -> bool:
    try:
        conn.execute(sql.SQL("VACUUM (FULL) {}").format(sql.Identifier(schema, name)))
    except psycopg.errors.UndefinedTable:
        return True  # dropped meanwhile
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
        return False
    return True


def _drop_log(conn: Connection, switch: str) -> None:
    """Ends the present segment of the write-ahead log and makes it superfluous, as the server does later by itself."""
    with suppress(psycopg.errors.InsufficientPrivilege):
        conn.execute(switch.encode())
        conn.execute(b"CHECKPOINT")
