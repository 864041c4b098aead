"""The switch: a set of tables that was made beside the live one takes its place, in one transaction.

In: a set that is nearly as far as the live views. Out: the same names, other tables; the ones that were live are the
way back. The live tables are locked, so the projector waits; the set is brought at least to the projector's offsets,
then both move schema. The set may be ahead: what the projector applies again changes nothing.
Statements that waited, and prepared ones, find the new tables by name.
"""

import time
from collections.abc import Sequence

from psycopg import errors, sql

from projections.rebuilding.log_sets import LogSet
from projections.rebuilding.versions import (
    State,
    drop_tables,
    find,
    offsets,
    put_offsets,
    run,
    schema_of,
)
from projections.registry import Projection
from runtime.errors import Unavailable
from runtime.postgres import Connection
from runtime.telemetry import logger
from runtime.topic_reader import Onwards

# Shorter than PostgreSQL's deadlock_timeout: where a reader and the switch wait for each other, the switch gives way.
LOCK_TIMEOUT_MS = 300
# Longer than it: an autovacuum gives way only to a waiter that was found out by the deadlock check.
VACUUM_TIMEOUT_MS = 2_000
PAUSE_S = 0.2
ATTEMPTS = 100
CATCH_UP_S = 10.0
LIVE_SCHEMA = "public"

log = logger(__name__)


class CannotSwitch(Exception):
    """The set cannot take the live one's place; the sentence says why."""


def switch(conn: Connection, log_set: LogSet, reader: Onwards, live_consumer: str) -> None:
    """Raises CannotSwitch; nothing has changed then."""
    for projection in log_set.projections:
        _drop_older_way_back(conn, projection, log_set)
    for attempt in range(ATTEMPTS):
        patient = attempt % 10 == 9
        try:
            with conn.transaction():
                _lock(conn, log_set.projections, VACUUM_TIMEOUT_MS if patient else LOCK_TIMEOUT_MS)
                places = _level(conn, log_set, reader, live_consumer)
                for projection, number in zip(log_set.projections, log_set.numbers, strict=True):
                    _exchange(conn, projection, number, places)
            return
        except (errors.LockNotAvailable, errors.DeadlockDetected):
            log.info("the live tables are in use", action="rebuild.lock", attempt=attempt)
            time.sleep(PAUSE_S)
    raise CannotSwitch("The live tables were in use all the time; try again.")


def _drop_older_way_back(conn: Connection, projection: Projection, log_set: LogSet) -> None:
    found = find(conn, projection.name, State.OLD)
    if found is not None and found.version not in log_set.numbers:
        with conn.transaction():
            drop_tables(conn, projection.name, found.version)


def _lock(conn: Connection, projections: Sequence[Projection], timeout_ms: int) -> None:
    """In the order in which the projector writes them."""
    conn.execute(sql.SQL("SET LOCAL lock_timeout TO {}").format(timeout_ms))
    tables = [sql.Identifier(LIVE_SCHEMA, table) for projection in projections for table in projection.tables]
    conn.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.SQL(", ").join(tables)))
    conn.execute("SET LOCAL lock_timeout TO 0")


def _level(conn: Connection, log_set: LogSet, reader: Onwards, live_consumer: str) -> dict[int, int]:
    """The live offsets, which cannot move past the locks; the set is at least there."""
    deadline_s = time.monotonic() + CATCH_UP_S
    live = offsets(conn, live_consumer)
    while behind := {p: place for p, place in live.items() if place > log_set.reached(reader).get(p, 0)}:
        for partition in behind:
            if stop := log_set.stopped.get(partition):
                raise CannotSwitch(f"A record cannot be read: {stop}")
        if time.monotonic() > deadline_s:
            raise Unavailable(f"Kafka: partitions {sorted(behind)} could not be read to {behind}")
        log_set.catch_up(conn, reader)
    return live


def _exchange(conn: Connection, projection: Projection, number: int, places: dict[int, int]) -> None:
    live = find(conn, projection.name, State.LIVE)
    assert live is not None
    made, kept = schema_of(projection.name, number), live.schema
    conn.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(kept)))
    for table in projection.tables:
        _move(conn, (LIVE_SCHEMA, table), kept)
        _move(conn, (made, table), LIVE_SCHEMA)
    conn.execute(sql.SQL("DROP SCHEMA {}").format(sql.Identifier(made)))
    run(conn, "forget_offsets", consumer=made)
    put_offsets(conn, kept, places)
    run(conn, "promote", projection=projection.name, version=number)


def _move(conn: Connection, table: tuple[str, str], schema: str) -> None:
    conn.execute(sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(sql.Identifier(*table), sql.Identifier(schema)))


def analyze(conn: Connection, log_set: LogSet) -> None:
    """Statistics of the new tables, so that the first queries on them are planned well."""
    for projection, name in zip(log_set.projections, log_set.schemas, strict=True):
        for table in projection.tables:
            conn.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(name, table)))
