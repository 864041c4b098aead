"""What a projection answers to a fact: rows for named statements.

In: rows that facts contribute. Out: for each statement one batch of rows, one row to a key.
Knows no view, no SQL and no database; `projections.applying` runs the statements.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.records import Fact, TranscriptRecord

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement of a view's `project.sql`, and the columns that tell its rows apart."""

    name: str
    key: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One row for one statement. Every row carries the `seq` of the fact that wrote it."""

    statement: Statement
    row: Row


Project = Callable[[TranscriptRecord], Sequence[Write]]


def stamp(fact: Fact) -> dict[str, Any]:
    """The columns that every row has: whose it is and which fact wrote it."""
    return {"job_id": fact.job_id, "tenant_id": fact.tenant_id, "seq": fact.seq}


def batches(writes: Iterable[Write], order: Sequence[Statement]) -> list[tuple[Statement, list[Row]]]:
    """Rows by statement in the given order; of several rows with one key only that of the greatest seq stays.

    A statement that met one key twice would be refused by PostgreSQL, and the lesser row would lose anyway.
    """
    newest: dict[Statement, dict[tuple[Any, ...], Row]] = {statement: {} for statement in order}
    for write in writes:
        rows = newest[write.statement]
        key = tuple(write.row[column] for column in write.statement.key)
        there = rows.get(key)
        if there is None or write.row["seq"] > there["seq"]:
            rows[key] = write.row
    return [(statement, list(rows.values())) for statement, rows in newest.items() if rows]
