"""The next search index, made from the view `transcripts` beside the live one.

In: segments in the order of their ids. Out: their documents in an index that nobody searches yet. From the first moment
the indexer writes every change to it too, so a place once passed needs no second look, and a stop loses nothing.
A document is whole and carries its version, so it does not matter who writes it first.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from projections.rebuilding.indexes import SEARCH, changing, settle
from projections.rebuilding.refusals import Refused, note, write_documents
from projections.rebuilding.versions import State, Version, add_next, find, run
from projections.search.documents import SegmentDocument, Source
from projections.search.index import ALIAS, index_body, index_of, writers_alias
from projections.search.indexer import bulks
from projections.search.sources import documents, sources
from runtime.opensearch import SearchEngine
from runtime.postgres import Connection, load_sql

PAGE_SEGMENTS = 1_000
WRITERS = 2
Report = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Page:
    """Documents under way, and what becomes of them."""

    made: list[SegmentDocument]
    written: Future[list[Refused]]


class IndexBuild:
    """One version in the making. The caller holds the connection, in autocommit."""

    def __init__(self, conn: Connection, engine: SearchEngine) -> None:
        self._conn = conn
        self._engine = engine
        self._page = load_sql("projections.rebuilding")["page"].encode()
        self._version = self._begin()

    @property
    def version(self) -> int:
        """Its number."""
        return self._version.version

    def _begin(self) -> Version:
        """The version that a stop left, or a new one."""
        settle(self._conn, self._engine)
        if (found := find(self._conn, SEARCH, State.NEXT)) is not None:
            return found
        with changing(self._conn):
            number = add_next(self._conn, SEARCH)
            self._engine.create_index(index_of(number), index_body(), ALIAS)
            self._engine.put_alias(writers_alias(number), index_of(number))
            self._engine.change_settings(index_of(number), {"refresh_interval": "-1"})
        made = find(self._conn, SEARCH, State.NEXT)
        assert made is not None
        return made

    def run(self, report: Report) -> None:
        """Writes every segment after the place where the last run stopped; reports how many of about how many."""
        place, done = (self._version.job_id, self._version.segment_id), 0
        total = int(run(self._conn, "segments").fetchone()[0])
        pages: deque[tuple[_Page, tuple[str, str]]] = deque()
        with ThreadPoolExecutor(WRITERS) as pool:
            while found := self._after(place):
                place, done = (found[-1].job_id, found[-1].segment_id), done + len(found)
                pages.append((self._page_of(pool, documents(self._conn, found)), place))
                if len(pages) > WRITERS:
                    self._passed(*pages.popleft())
                report(done, max(total, done))
            while pages:
                self._passed(*pages.popleft())

    def _after(self, place: tuple[str, str]) -> list[Source]:
        values = {"job_id": place[0], "segment_id": place[1], "limit": PAGE_SEGMENTS}
        return sources(self._conn, self._page, values)

    def _page_of(self, pool: ThreadPoolExecutor, made: list[SegmentDocument]) -> "_Page":
        return _Page(made=made, written=pool.submit(self._write, made))

    def _passed(self, page: "_Page", place: tuple[str, str]) -> None:
        """The place may be noted when its page, and every one before it, is written."""
        note(self._conn, self.version, page.made, page.written.result())
        values = {"projection": SEARCH, "version": self.version, "job_id": place[0], "segment_id": place[1]}
        run(self._conn, "note_place", **values)

    def _write(self, made: list[SegmentDocument]) -> list[Refused]:
        alias = writers_alias(self.version)
        return [refused for bulk in bulks(made) for refused in write_documents(self._engine, alias, bulk)]


def switch_index(conn: Connection, engine: SearchEngine, number: int) -> None:
    """Searches go to this version. It shows all that the live one shows: no document is written meanwhile."""
    index = index_of(number)
    found = find(conn, SEARCH, State.OLD)
    if found is not None and found.version != number:
        drop_index(conn, engine, found.version)
    engine.change_settings(index, {"refresh_interval": index_body()["settings"]["refresh_interval"]})
    engine.refresh(index)  # most of it now, while nobody waits
    with changing(conn):
        engine.refresh(index)
        engine.move_alias(ALIAS, engine.alias_target(ALIAS), index)
        run(conn, "promote", projection=SEARCH, version=number)


def drop_index(conn: Connection, engine: SearchEngine, number: int) -> None:
    """A version that is not live goes away; writers no longer know it when its index goes.

    An index that a stop leaves goes when the versions are settled next.
    """
    with changing(conn):
        run(conn, "forget", projection=SEARCH, version=number)
    engine.delete_index(index_of(number))
