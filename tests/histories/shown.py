"""What the code makes of a history, in a form that can be kept: the assembler's state, rows of views, search documents.

In: facts in the order of the log. Out: plain values. `differences` compares what was kept with what is made today.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from psycopg.rows import dict_row

from projections.applying import apply_facts
from projections.registry import PROJECTIONS
from projections.search.indexer import Indexer
from runtime.postgres import Connection
from schemas.records import TranscriptRecord
from streams.assembler.job import fold

LIMIT = 1_000


def shown(conn: Connection, indexer: Indexer, facts: Sequence[TranscriptRecord]) -> dict[str, Any]:
    """Everything; what is written to the database for it is gone afterwards."""
    try:
        apply_facts(conn, 0, facts)
        views = {table: _rows(conn, table) for projection in PROJECTIONS for table in projection.tables}
        del views["search_pending"]  # a queue, whose marks are counted through; what it leads to is in the documents
        indexer.take(frozenset({0}))
        documents = [
            {"id": each.id, "version": each.version, "body": each.body}
            for each in indexer.documents(conn, LIMIT).documents
            if not each.body["deleted"]
        ]
    finally:
        conn.rollback()
    found = _plain({"state": fold(facts), "views": views, "documents": sorted(documents, key=_text)})
    if found["state"]:  # they are kept as one list; the state has them by chunk
        found["state"]["early"] = [answer for answers in found["state"]["early"].values() for answer in answers]
    return found


def _rows(conn: Connection, table: str) -> list[dict[str, Any]]:
    with conn.cursor(row_factory=dict_row) as cursor:
        return sorted(cursor.execute(f"SELECT * FROM {table}".encode()).fetchall(), key=_text)


def _plain(value: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(msgspec.json.encode(value, enc_hook=str))
    return found


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def differences(kept: Any, today: Any, where: str = "") -> Iterator[str]:
    """What of the kept is not so today; what came later is not compared."""
    if isinstance(kept, dict) and isinstance(today, dict):
        for key, value in kept.items():
            if key in today:
                yield from differences(value, today[key], f"{where}/{key}")
            else:
                yield f"{where}/{key} is gone"
    elif isinstance(kept, list) and isinstance(today, list) and len(kept) == len(today):
        rows = where.startswith("/views/") and where.count("/") == 2
        ordered = _in_order_of(kept, today) if rows else today
        for number, (one, other) in enumerate(zip(kept, ordered, strict=True)):
            yield from differences(one, other, f"{where}/{number}")
    elif kept != today:
        yield f"{where} was {kept!r} and is {today!r}"


def _in_order_of(kept: list[Any], today: list[Any]) -> list[Any]:
    """Rows are sorted by what they hold: a column that came later must not change their order."""
    columns = set(kept[0]) if kept else set()
    return sorted(today, key=lambda row: _text({name: value for name, value in row.items() if name in columns}))
