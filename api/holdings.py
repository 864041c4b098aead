"""Everything held about jobs, as one zip: the answer to a request for access.

In: a tenant and its jobs. Out: pieces of a zip file, made while they are sent, in memory that does not depend on them.
What is held is not listed by name but found: every table with the job's or the tenant's id, every record of every
topic, every object. Records are what was said and by whom, in all versions; the rest is what was made of them.
"""

import asyncio
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import msgspec
from psycopg import ServerCursor, sql
from psycopg.rows import TupleRow

from projections.exports import FORMATS
from projections.transcripts import queries as transcripts
from runtime.errors import ObjectMissing, ObjectWithheld
from runtime.kafka import Incoming
from runtime.objects import WORKER_PATIENCE, ObjectStore, Patience
from runtime.postgres import (
    Connection,
    answered_within,
    async_connection,
    connection,
    cut_after,
    load_sql,
    snapshot,
)
from runtime.registry import Registry
from runtime.settings import Settings
from runtime.topic_reader import read_topic
from schemas.codec import Codec, UndecodableRecord
from schemas.identity import partition_for
from schemas.topics import TOPICS

MEDIA_TYPE = "application/zip"
ROWS_AT_ONCE = 200
# The server itself ends a statement after a minute.
ANSWER_LIMIT_S = 70.0
PIECE_BYTES = 256 * 1024
# What proves who somebody is does not belong into a file about them.
SECRET_COLUMNS = ["secret_sha256"]
NOTES = {
    "manifest.json": "what was asked for, and when this was made",
    "transcripts/": "the transcripts as they stand now",
    "topics/": "records, one to a line: requests, results, and the facts of each job in all versions, with actors",
    "tables/": "rows, one to a line: what is shown of the jobs, and what is kept to answer repeated requests",
    "objects/": "the recordings, and pieces of them that are still needed; "
    "an empty NAME.withheld stands for what the object store has and does not hand out",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Whose data, and which jobs; `whole_tenant` also asks for what belongs to no job."""

    tenant_id: str
    job_ids: tuple[str, ...]
    whole_tenant: bool


class _Pieces:
    """Where the zip is written: a file that only grows and gives away what it has."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, data: bytes) -> int:
        self._held += data
        return len(data)

    def flush(self) -> None:
        """There is nothing below it."""

    def close(self) -> None:
        """It stays open until everything is taken."""

    def taken(self, least: int = PIECE_BYTES) -> Iterator[bytes]:
        """What is there, if it is worth a piece."""
        if len(self._held) >= least:
            piece, self._held = bytes(self._held), bytearray()
            yield piece


def tenant_of(settings: Settings, job_id: str) -> str | None:
    """Whose a job is or was."""
    with connection(settings.postgres_dsn, autocommit=True) as conn:
        found = _asked(conn, "tenant_of_job", job_id=job_id)
    return found[0] if found else None


def of_tenant(settings: Settings, tenant_id: str) -> Wanted:
    """Everything of a tenant."""
    with connection(settings.postgres_dsn, autocommit=True) as conn:
        job_ids = _asked(conn, "jobs_of_tenant", tenant_id=tenant_id)
    return Wanted(tenant_id=tenant_id, job_ids=tuple(sorted(job_ids)), whole_tenant=True)


def _asked(conn: Connection, name: str, **values: str) -> list[str]:
    """The one column that a query of this module gives."""
    with answered_within(ANSWER_LIMIT_S, conn):
        return [row[0] for row in conn.execute(load_sql("api", "holdings.sql")[name].encode(), values).fetchall()]


def archive(settings: Settings, wanted: Wanted, patience: Patience = WORKER_PATIENCE) -> Iterator[bytes]:
    """The zip, piece by piece; raises Unavailable."""
    pieces = _Pieces()
    with zipfile.ZipFile(pieces, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as file:
        for name, content in _entries(settings, wanted, patience):
            # Recordings are compressed already.
            how = zipfile.ZIP_STORED if name.startswith("objects/") else zipfile.ZIP_DEFLATED
            entry = zipfile.ZipInfo(name, datetime.now(UTC).timetuple()[:6])
            entry.compress_type = how
            with file.open(entry, "w", force_zip64=True) as out:
                for data in content:
                    out.write(data)
                    yield from pieces.taken()
    yield from pieces.taken(least=1)


Entry = tuple[str, Iterator[bytes]]


def _entries(settings: Settings, wanted: Wanted, patience: Patience) -> Iterator[Entry]:
    about = {"made_at": datetime.now(UTC).isoformat(), "tenant_id": wanted.tenant_id, "jobs": wanted.job_ids}
    yield "manifest.json", iter([json.dumps({**about, "contents": NOTES}, indent=2).encode()])
    for job_id in wanted.job_ids:
        if (text := asyncio.run(_transcript(settings.postgres_dsn, wanted.tenant_id, job_id))) is not None:
            yield f"transcripts/{job_id}.json", iter([text.encode()])
    yield from _tables(settings, wanted)
    yield from _topics(settings, wanted)
    with closing(ObjectStore(settings.objects, patience)) as store:
        yield from _objects(store, wanted)


def _objects(store: ObjectStore, wanted: Wanted) -> Iterator[Entry]:
    """Those that are still there when it is their turn: a job that ends meanwhile needs its chunks no more.

    A tenant's are all that bear its name, also of a job that nobody knows: of an upload that was not accepted.
    """
    every = f"{wanted.tenant_id}/"
    prefixes = [every] if wanted.whole_tenant else [f"{every}{job_id}/" for job_id in wanted.job_ids]
    for key in chain.from_iterable(map(store.keys, prefixes)):
        content = store.stream(key)
        name = f"objects/{key.removeprefix(every)}"
        try:
            first = next(content, b"")
        except ObjectWithheld:
            yield f"{name}.withheld", iter(())
        except ObjectMissing:
            continue
        else:
            yield name, chain([first], content)


async def _transcript(dsn: str, tenant_id: str, job_id: str) -> str | None:
    async with async_connection(dsn) as conn, cut_after(ANSWER_LIMIT_S, conn), snapshot(conn):
        view = await transcripts.whole(conn, tenant_id, job_id)
    return FORMATS["json"].render(view) if view else None


def _tables(settings: Settings, wanted: Wanted) -> Iterator[Entry]:
    """Rows of the jobs; of a tenant also those that bear its name and no job's."""
    owners = {"job_id": wanted.job_ids} | ({"tenant_id": (wanted.tenant_id,)} if wanted.whole_tenant else {})
    with connection(settings.postgres_dsn, autocommit=True) as conn:
        columns: dict[str, list[str]] = {}
        for column in owners:
            for table in _asked(conn, "tables_with", column=column):
                columns.setdefault(table, []).append(column)
        for table in sorted(columns):
            yield f"tables/{table}.jsonl", _rows(conn, table, {column: owners[column] for column in columns[table]})


def _rows(conn: Connection, table: str, owners: Mapping[str, Sequence[str]]) -> Iterator[bytes]:
    """Rows of which one of the columns has one of its values."""
    owned = sql.SQL(" OR ").join(sql.SQL("{} = ANY(%s)").format(sql.Identifier(column)) for column in owners)
    query = sql.SQL("SELECT (to_jsonb(kept) - %s::text[])::text FROM {} AS kept WHERE {}").format(
        sql.Identifier(table), owned
    )
    packed = _asked(conn, "bytes_columns", table=table)
    # A cursor of the server's, so that a long table is never held whole here.
    with conn.cursor(name="holdings", withhold=True) as cursor:
        with answered_within(ANSWER_LIMIT_S, conn):
            cursor.execute(query, (SECRET_COLUMNS, *map(list, owners.values())))
        while rows := _next(conn, cursor):
            for (row,) in rows:
                yield (_readable(row, packed) if packed else row.encode()) + b"\n"


def _next(conn: Connection, cursor: ServerCursor[TupleRow]) -> list[TupleRow]:
    with answered_within(ANSWER_LIMIT_S, conn):
        return cursor.fetchmany(ROWS_AT_ONCE)


def _readable(row: str, packed: Sequence[str]) -> bytes:
    """The row with its bytes as text where they are text; else they stay as the database writes them, in hex."""
    values = json.loads(row)
    for name in packed:
        if isinstance(text := values.get(name), str):
            with suppress(ValueError):
                values[name] = bytes.fromhex(text.removeprefix("\\x")).decode()
    return json.dumps(values, ensure_ascii=False).encode()


def _topics(settings: Settings, wanted: Wanted) -> Iterator[Entry]:
    jobs = {job_id.encode() for job_id in wanted.job_ids}
    with closing(Registry(settings.registry_url, wait=False)) as registry:
        codec = Codec(registry)
        for topic in TOPICS:
            # A single job is on one partition, but for its chunks.
            one = len(jobs) == 1 and not topic.key.endswith("index") and topic.key != "original"
            only = partition_for(next(iter(jobs)), settings.kafka.partitions) if one else None
            yield f"topics/{topic.name}.jsonl", _records(read_topic(settings.kafka, topic.name, only), jobs, codec)


def _records(found: Iterator[Incoming], jobs: set[bytes], codec: Codec) -> Iterator[bytes]:
    for record in found:
        if record.value is not None and (record.key or b"").partition(b"/")[0] in jobs:
            yield json.dumps(_line(record, codec), ensure_ascii=False).encode() + b"\n"


def _line(record: Incoming, codec: Codec) -> dict[str, Any]:
    headers = {name: value.decode(errors="replace") for name, value in record.headers}
    place = {"partition": record.partition, "offset": record.offset, "time_ms": record.timestamp_ms, "headers": headers}
    try:
        decoded = codec.decode(record.value or b"")
    except UndecodableRecord as error:
        return {**place, "unreadable": str(error), "bytes": (record.value or b"").hex()}
    return {**place, "type": type(decoded).__name__, "record": msgspec.to_builtins(decoded)}
