"""Rows that documents are built from, and the documents.

In: a connection. Out: segments with their jobs as the view stands now, and the document of each.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads

from projections.search.documents import SegmentDocument, Source, document
from projections.transcripts.speakers import SpeakerRow, Speakers
from runtime.opensearch import Document
from runtime.postgres import Connection, load_sql


def read_quickly(conn: Connection) -> None:
    """Words come as JSON, by the thousand."""
    set_json_loads(msgspec.json.decode, conn)


def sources(conn: Connection, statement: bytes, values: dict[str, Any]) -> list[Source]:
    """What a statement with the columns of `Source` finds."""
    with conn.cursor(row_factory=dict_row) as cursor:
        cursor.execute(statement, values)
        return msgspec.convert(cursor.fetchall(), list[Source])


def documents(conn: Connection, found: Sequence[Source]) -> list[SegmentDocument]:
    """The documents of these segments; a source with nothing behind it has none."""
    speakers = _speakers(conn, {source.job_id for source in found})
    built = (document(source, speakers[source.job_id]) for source in found)
    return [each for each in built if each is not None]


def outgoing(each: SegmentDocument) -> Document:
    """The document as the engine takes it."""
    return Document(id=each.id, version=each.version, routing=each.tenant_id, body=each.body)


def _speakers(conn: Connection, job_ids: Collection[str]) -> dict[str, Speakers]:
    rows: dict[str, list[SpeakerRow]] = defaultdict(list)
    statement = load_sql("projections.search")["speakers"].encode()
    with conn.cursor(row_factory=dict_row) as cursor:
        cursor.execute(statement, {"job_ids": list(job_ids)})
        for row in msgspec.convert(cursor.fetchall(), list[SpeakerRow]):
            rows[row.job_id].append(row)
    return {job_id: Speakers(rows[job_id]) for job_id in job_ids}
