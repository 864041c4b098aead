"""A second set of tables, made from the log beside the live one.

In: the log of `transcripts` from the set's own offsets on. Out: rows written by the same pure functions, in one
transaction with those offsets: killed anywhere, it goes on where it was. Nobody reads these tables until they switch.
"""

from collections.abc import Sequence
from importlib.resources import files
from itertools import groupby

from psycopg import sql

from projections.applying import apply_facts
from projections.facts import fact_of
from projections.rebuilding.versions import (
    BY_NAME,
    State,
    add_next,
    ensure_live,
    find,
    offsets,
    put_offsets,
    run,
    schema_of,
    use_schemas,
)
from projections.registry import Projection, Rebuilt
from runtime.consumer import StopPartition
from runtime.kafka import Incoming
from runtime.postgres import Connection
from runtime.telemetry import logger
from runtime.topic_reader import Onwards
from schemas.codec import Codec

BATCH_RECORDS = 500
POLL_S = 1.0

log = logger(__name__)


def log_projections(wanted: Sequence[str]) -> list[Projection]:
    """Those of the named views that are made from the log, in the order in which they are written."""
    return [each for each in BY_NAME.values() if each.name in wanted and each.rebuilt is Rebuilt.FROM_LOG]


class LogSet:
    """Versions of some views that are made together. The caller holds the connection, in autocommit."""

    def __init__(self, codec: Codec, projections: Sequence[Projection], numbers: Sequence[int]) -> None:
        self._codec = codec
        self.projections = tuple(projections)
        self.numbers = tuple(numbers)
        self.stopped: dict[int, StopPartition] = {}

    @property
    def schemas(self) -> list[str]:
        """Where its tables lie; its offsets are kept under the same names."""
        return [schema_of(p.name, number) for p, number in zip(self.projections, self.numbers, strict=True)]

    def places(self, conn: Connection) -> dict[int, int]:
        """Next offset by partition: the least of its members, since what one has seen it may see again."""
        each = [offsets(conn, name) for name in self.schemas]
        known = set(each[0]).intersection(*each[1:])
        return {partition: min(found[partition] for found in each) for partition in known}

    def catch_up(self, conn: Connection, reader: Onwards, timeout_s: float = POLL_S) -> int:
        """Applies the next records that are there; their number."""
        records = reader.read(BATCH_RECORDS, timeout_s)
        ordered = sorted(records, key=lambda record: record.partition)
        with conn.transaction():
            conn.execute("SET LOCAL synchronous_commit TO off")
            for partition, group in groupby(ordered, key=lambda record: record.partition):
                self._apply(conn, partition, list(group))
            for projection, number in zip(self.projections, self.numbers, strict=True):
                put_offsets(conn, schema_of(projection.name, number), self.reached(reader))
                run(conn, "touch", projection=projection.name, version=number)
        return len(records)

    def reached(self, reader: Onwards) -> dict[int, int]:
        """How far the set is: to the end of what was read, or to what could not be."""
        stops = {partition: stop.incoming.offset for partition, stop in self.stopped.items()}
        return {**reader.places, **stops}

    def _apply(self, conn: Connection, partition: int, records: Sequence[Incoming]) -> None:
        """A record that cannot be read ends its partition, as it does for the live views."""
        if partition in self.stopped:
            return
        facts = []
        for record in records:
            try:
                fact = fact_of(self._codec, record)
            except StopPartition as stop:
                log.error("a record cannot be read", action="rebuild.stopped", why=str(stop))
                self.stopped[partition] = stop
                break
            if fact is not None:
                facts.append(fact)
        use_schemas(conn, self.schemas)
        apply_facts(conn, partition, facts, self.projections)


def next_set(conn: Connection, codec: Codec, projections: Sequence[Projection]) -> LogSet:
    """The set that is being made, which a stop may have left, or a new one."""
    numbers = []
    for projection in projections:
        found = find(conn, projection.name, State.NEXT)
        numbers.append(found.version if found else _create(conn, projection))
    return LogSet(codec, projections, numbers)


def old_set(conn: Connection, codec: Codec, projections: Sequence[Projection]) -> LogSet | None:
    """The way back; None where one of the views has none."""
    found = [find(conn, projection.name, State.OLD) for projection in projections]
    known = [version.version for version in found if version]
    return LogSet(codec, projections, known) if len(known) == len(projections) else None


def _create(conn: Connection, projection: Projection) -> int:
    text = (files(projection.package) / "tables.sql").read_text(encoding="utf-8")
    with conn.transaction():
        ensure_live(conn, projection.name)
        number = add_next(conn, projection.name)
        name = sql.Identifier(schema_of(projection.name, number))
        conn.execute(sql.SQL("CREATE SCHEMA {}").format(name))
        conn.execute(sql.SQL("SET LOCAL search_path TO {}").format(name))
        conn.execute(text.encode())
    return number
