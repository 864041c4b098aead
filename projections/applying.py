"""Facts into the PostgreSQL views: the one shell of all projections.

In: an open transaction and facts of one partition. Out: rows written by each view's `project.sql`.
Knows no view by name: the registry lists them. Applying again, or in another order, gives the same rows.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from projections.registry import PROJECTIONS, Projection
from projections.writes import Row, batches
from runtime.postgres import Connection, load_sql
from schemas.records import TranscriptRecord

ROWS_PER_STATEMENT = 1_000
_NUL = b"\\u0000"


def apply_facts(
    conn: Connection,
    partition: int,
    facts: Sequence[TranscriptRecord],
    projections: Sequence[Projection] = PROJECTIONS,
) -> None:
    """Writes what the facts contribute to every view; the caller commits."""
    for projection in projections:
        sql = load_sql(projection.package, "project.sql")
        writes = (write for fact in facts for write in projection.project(fact))
        for statement, rows in batches(writes, projection.statements):
            for some in _slices(rows):
                conn.execute(
                    sql[statement.name].encode(),
                    {"rows": encoded(some), "partition": partition},
                )


def encoded(rows: Sequence[Row]) -> str:
    """Rows as the JSON that the statements take. PostgreSQL can hold no NUL character: it becomes U+FFFD."""
    data = msgspec.json.encode(rows)
    if _NUL in data:
        data = msgspec.json.encode(_without_nul(msgspec.to_builtins(rows)))
    return data.decode()


def _without_nul(value: Any) -> Any:
    match value:
        case str():
            return value.replace("\x00", "\ufffd")
        case dict():
            return {_without_nul(key): _without_nul(item) for key, item in value.items()}
        case list() | tuple():
            return [_without_nul(item) for item in value]
        case _:
            return value


def _slices(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    for start in range(0, len(rows), ROWS_PER_STATEMENT):
        yield rows[start : start + ROWS_PER_STATEMENT]
