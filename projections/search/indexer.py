"""The indexer: a thread that brings the search index up to the view.

In: marks in `search_pending`, rows of the view `transcripts`. Out: documents in OpenSearch, and marks struck off.
It runs beside the consumer loop with a connection of its own, so that the views never wait for the search engine;
while that is away, marks wait. Killed anywhere, it only does some work again.
"""

import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads

from projections.search.documents import SegmentDocument, Source, document
from projections.search.index import ALIAS, INDEX, index_body
from projections.transcripts.speakers import SpeakerRow, Speakers
from runtime import telemetry
from runtime.errors import Unavailable
from runtime.faults import crash_point
from runtime.opensearch import Document, SearchEngine
from runtime.postgres import Connection, connection, load_sql, transaction
from runtime.telemetry import logger

BATCH_SEGMENTS = 1_000
MIN_BATCH_SEGMENTS = 50
BULK_CHARS = 4_000_000
IDLE_S = 5.0
FIRST_PAUSE_S = 0.25
MAX_PAUSE_S = 15.0

log = logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How much to send at once and how long to wait before the next try."""

    segments: int = BATCH_SEGMENTS
    pause_s: float = 0.0

    def slower(self) -> "Pace":
        """After a refusal: half as much, after twice the time."""
        return Pace(
            segments=max(MIN_BATCH_SEGMENTS, self.segments // 2),
            pause_s=min(MAX_PAUSE_S, max(FIRST_PAUSE_S, self.pause_s * 2)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """Marked segments and their documents; a mark without anything behind it has none."""

    sources: Sequence[Source]
    documents: Sequence[SegmentDocument]


class Indexer:
    """Indexes the marked segments of the partitions it was given. `check` raises what ended the thread."""

    def __init__(self, engine: SearchEngine, dsn: str) -> None:
        self._engine = engine
        self._dsn = dsn
        self._sql = load_sql("projections.search")
        self._partitions: frozenset[int] = frozenset()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._error: BaseException | None = None
        self._index_ready = False
        self._thread = threading.Thread(target=self._guarded, name="indexer", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Lets the batch in hand finish."""
        self._stopping.set()
        self._wake.set()
        self._thread.join()

    def take(self, partitions: frozenset[int]) -> None:
        """These partitions are ours now: what waits there is indexed first."""
        self._partitions = partitions
        self._wake.set()

    def wake(self) -> None:
        """Something was marked."""
        self._wake.set()

    def check(self) -> None:
        """Raises what ended the thread, if anything did."""
        if self._error is not None:
            raise self._error

    def _guarded(self) -> None:
        try:
            self._run()
        except BaseException as error:
            self._error = error

    def _run(self) -> None:
        pace = Pace()
        while not self._stopping.is_set():
            try:
                with connection(self._dsn, autocommit=True) as conn:
                    set_json_loads(msgspec.json.decode, conn)
                    pace = self._drain(conn, pace)
            except Unavailable as error:
                pace = pace.slower()
                log.warning("the search index waits", action="indexer.wait", trouble=str(error), pause_s=pace.pause_s)
            self._stopping.wait(pace.pause_s)

    def _drain(self, conn: Connection, pace: Pace) -> Pace:
        """Indexes until stopped; an engine that is away raises Unavailable."""
        if not self._index_ready:
            self._engine.create_index(INDEX, index_body(), ALIAS)
            self._index_ready = True
        while not self._stopping.is_set():
            self._wake.clear()
            while self._one_batch(conn, pace.segments) and not self._stopping.is_set():
                pace = Pace()
            pace = Pace()
            self._wake.wait(IDLE_S)
        return pace

    def _one_batch(self, conn: Connection, limit: int) -> bool:
        """Indexes the oldest marks; False when there were none."""
        behind = self.documents(conn, limit)
        if not behind.sources:
            telemetry.search_pending.set(0)
            return False
        for bulk in bulks(behind.documents):
            with crash_point("documents.write"):
                self._engine.write(ALIAS, [_outgoing(each) for each in bulk])
        with transaction(conn, "marks.strike"):
            conn.execute(self._sql["strike"].encode(), _columns(behind.sources))
        waiting = conn.execute(self._sql["waiting"].encode(), {"partitions": list(self._partitions)}).fetchone()
        telemetry.search_pending.set(waiting[0] if waiting else 0)
        telemetry.documents_indexed.inc(len(behind.documents))
        return True

    def documents(self, conn: Connection, limit: int) -> Behind:
        """The oldest marks of our partitions, and the documents they ask for as the view stands now."""
        sources = self._sources(conn, limit)
        speakers = self._speakers(conn, {source.job_id for source in sources})
        built = (document(source, speakers[source.job_id]) for source in sources)
        return Behind(sources=sources, documents=[each for each in built if each is not None])

    def _sources(self, conn: Connection, limit: int) -> list[Source]:
        params = {"partitions": list(self._partitions), "limit": limit}
        marks = conn.execute(self._sql["pending"].encode(), params).fetchall()
        if not marks:
            return []
        job_ids, segment_ids, numbers = (list(column) for column in zip(*marks, strict=True))
        with conn.cursor(row_factory=dict_row) as cursor:
            cursor.execute(
                self._sql["sources"].encode(), {"job_ids": job_ids, "segment_ids": segment_ids, "marks": numbers}
            )
            return msgspec.convert(cursor.fetchall(), list[Source])

    def _speakers(self, conn: Connection, job_ids: set[str]) -> dict[str, Speakers]:
        rows: dict[str, list[SpeakerRow]] = defaultdict(list)
        with conn.cursor(row_factory=dict_row) as cursor:
            cursor.execute(self._sql["speakers"].encode(), {"job_ids": list(job_ids)})
            for row in msgspec.convert(cursor.fetchall(), list[SpeakerRow]):
                rows[row.job_id].append(row)
        return {job_id: Speakers(rows[job_id]) for job_id in job_ids}


def bulks(documents: Sequence[SegmentDocument]) -> Iterator[list[SegmentDocument]]:
    """Requests of at most about 4 MB; one larger document goes alone."""
    bulk: list[SegmentDocument] = []
    chars = 0
    for each in documents:
        size = len(each.body.get("text", ""))
        if bulk and chars + size > BULK_CHARS:
            yield bulk
            bulk, chars = [], 0
        bulk.append(each)
        chars += size
    if bulk:
        yield bulk


def _outgoing(each: SegmentDocument) -> Document:
    return Document(id=each.id, version=each.version, routing=each.tenant_id, body=each.body)


def _columns(sources: Sequence[Source]) -> dict[str, list[str] | list[int]]:
    return {
        "job_ids": [source.job_id for source in sources],
        "segment_ids": [source.segment_id for source in sources],
        "marks": [source.mark for source in sources],
    }
