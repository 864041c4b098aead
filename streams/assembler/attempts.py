"""Which input is being applied right now, in PostgreSQL: so that one that takes the process down is found and ended.

In: names of inputs. Out: how often each was begun without an end. A connection of its own, because the count must
survive the transaction that the crash rolls back. A lost database raises Unavailable.
"""

from contextlib import ExitStack, suppress

from runtime.errors import Unavailable
from runtime.faults import crash_point
from runtime.kafka import Incoming
from runtime.postgres import Connection, connection, load_sql
from streams.assembler.completion import AssemblyFinished, AssemblyGivenUp

# An input that ended the process so often is answered as poison.
MAX_ATTEMPTS = 2


def name_of(given: Incoming | AssemblyFinished | AssemblyGivenUp) -> str:
    """The same each time the input comes."""
    if isinstance(given, Incoming):
        return f"{given.topic}/{given.partition}/{given.offset}"
    return f"assembly/{given.job_id}/{given.order.round}/{given.order.cause_id}"


class Attempts:
    """The table `assembler_attempts`. One input at a time is in hand."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._sql = load_sql("streams.assembler")
        self._open = ExitStack()
        self._conn: Connection | None = None
        self._in_hand: str | None = None

    def begin(self, name: str) -> int:
        """This one is in hand now, the one before is done with; how often it was begun before without an end."""
        given = {"name": name, "ended": self._in_hand}
        with crash_point("attempt.begin"):
            row = self._connected().execute(self._sql["begin_attempt"], given).fetchone()
        assert row is not None
        self._in_hand = name
        return int(row[0]) - 1

    def end(self) -> None:
        """Nothing is in hand any more."""
        if self._in_hand is not None:
            with crash_point("attempt.end"):
                self._connected().execute(self._sql["end_attempt"], {"name": self._in_hand})
            self._in_hand = None

    def take_back(self) -> None:
        """What is in hand ended with an error that was raised, which is not its fault; the count stays if it must."""
        with suppress(Unavailable):
            self.end()

    def close(self) -> None:
        """Lets the connection go."""
        self._open.close()
        self._conn = None

    def _connected(self) -> Connection:
        if self._conn is None:
            self._conn = self._open.enter_context(connection(self._dsn, autocommit=True))
        return self._conn
