"""The indexer: a thread that brings the search index up to the view.

In: marks in `search_pending`, rows of the view `transcripts`. Out: documents in OpenSearch, and marks struck off.
It runs beside the consumer loop with a connection of its own, so that the views never wait for the search engine;
while that is away, marks wait; a document that it refuses holds up no other. Killed anywhere, it only does some work
again.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from projections.rebuilding.indexes import settle, writing, written
from projections.rebuilding.refusals import Refused, note, try_again, write_documents
from projections.search.documents import SegmentDocument, Source
from projections.search.index import writers_alias
from projections.search.sources import documents, read_quickly, sources
from runtime import telemetry
from runtime.errors import Unavailable
from runtime.opensearch import SearchEngine
from runtime.postgres import Connection, connection, load_sql, transaction
from runtime.telemetry import logger

BATCH_SEGMENTS = 1_000
MIN_BATCH_SEGMENTS = 50
BULK_CHARS = 4_000_000
IDLE_S = 5.0
FIRST_PAUSE_S = 0.25
MAX_PAUSE_S = 15.0
# What the batch in hand gets at the end of the process; an engine that hangs would keep it far longer.
STOP_TIMEOUT_S = 15.0

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
        self._refused_tried = False
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._guarded, name="indexer", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Lets the batch in hand finish, or leaves it to the successor, whose marks are still there."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(STOP_TIMEOUT_S)

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
                    pace = self._drain(conn, pace)
            except Unavailable as error:
                pace = pace.slower()
                log.warning("the search index waits", action="indexer.wait", trouble=str(error), pause_s=pace.pause_s)
            self._stopping.wait(pace.pause_s)

    def _drain(self, conn: Connection, pace: Pace) -> Pace:
        """Indexes until stopped; an engine that is away raises Unavailable."""
        read_quickly(conn)
        settle(conn, self._engine)
        while not self._stopping.is_set():
            self._wake.clear()
            self._try_refused_again(conn)
            while self._one_batch(conn, pace.segments) and not self._stopping.is_set():
                pace = Pace()
            pace = Pace()
            self._wake.wait(IDLE_S)
        return pace

    def _try_refused_again(self, conn: Connection) -> None:
        """Once: the next start comes with another program, or with another engine."""
        if self._partitions and not self._refused_tried:
            try_again(conn, self._partitions)
            self._refused_tried = True

    def _one_batch(self, conn: Connection, limit: int) -> bool:
        """Indexes the oldest marks, in every version of the index; False when there were none."""
        with writing(conn):
            behind = self.documents(conn, limit)
            if not behind.sources:
                telemetry.search_pending.set(0)
                return False
            for version in written(conn):
                self._write(conn, version, behind.documents)
        with transaction(conn, "marks.strike"):
            conn.execute(self._sql["strike"].encode(), _columns(behind.sources))
        waiting = conn.execute(self._sql["waiting"].encode(), {"partitions": list(self._partitions)}).fetchone()
        telemetry.search_pending.set(waiting[0] if waiting else 0)
        telemetry.documents_indexed.inc(len(behind.documents))
        return True

    def _write(self, conn: Connection, version: int, made: Sequence[SegmentDocument]) -> None:
        refused: list[Refused] = []
        for bulk in bulks(made):
            refused += write_documents(self._engine, writers_alias(version), bulk)
        note(conn, version, made, refused)

    def documents(self, conn: Connection, limit: int) -> Behind:
        """The oldest marks of our partitions, and the documents they ask for as the view stands now."""
        found = self._sources(conn, limit)
        return Behind(sources=found, documents=documents(conn, found))

    def _sources(self, conn: Connection, limit: int) -> list[Source]:
        params = {"partitions": list(self._partitions), "limit": limit}
        marks = conn.execute(self._sql["pending"].encode(), params).fetchall()
        if not marks:
            return []
        job_ids, segment_ids, numbers = (list(column) for column in zip(*marks, strict=True))
        values = {"job_ids": job_ids, "segment_ids": segment_ids, "marks": numbers}
        return sources(conn, self._sql["sources"].encode(), values)


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


def _columns(sources: Sequence[Source]) -> dict[str, list[str] | list[int]]:
    return {
        "job_ids": [source.job_id for source in sources],
        "segment_ids": [source.segment_id for source in sources],
        "marks": [source.mark for source in sources],
    }
