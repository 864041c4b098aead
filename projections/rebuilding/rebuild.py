"""Rebuilding: make the next version beside the live one, switch, go back, drop.

In: settings and names of views. Out: views made again while everything runs. One rebuild at a time; killed at any
instant, the same call goes on, or `abandon` takes away what was made.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

from projections.rebuilding.index_build import IndexBuild, drop_index, switch_index
from projections.rebuilding.indexes import SEARCH, settle
from projections.rebuilding.log_sets import LogSet, log_projections, next_set, old_set
from projections.rebuilding.switching import CannotSwitch, analyze, switch
from projections.rebuilding.versions import (
    BY_NAME,
    State,
    Version,
    drop_tables,
    ensure_live,
    find,
    run,
    versions,
)
from projections.registry import Rebuilt
from projections.search.sources import read_quickly
from runtime.opensearch import SearchEngine
from runtime.postgres import Connection, connection
from runtime.registry import Registry
from runtime.settings import Settings
from runtime.topic_reader import Onwards, read_onwards
from schemas.codec import Codec
from schemas.topics import TRANSCRIPTS

PROJECTOR = "projector"
NEARLY = 200  # records behind the end of the log at which the switch may begin
_REBUILD_LOCK = 7_260_004  # any number, the same in every version of this program
Report = Callable[[str, int, int], None]


class CannotRebuild(Exception):
    """Nothing was done; the sentence says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a rebuild works."""

    settings: Settings
    conn: Connection
    engine: SearchEngine


@contextmanager
def at_work(settings: Settings) -> Iterator[Place]:
    """The right to rebuild, for as long as the connection lives; raises CannotRebuild where somebody else has it."""
    with (
        connection(settings.postgres_dsn, autocommit=True) as conn,
        closing(SearchEngine(settings.opensearch)) as engine,
    ):
        row = conn.execute("SELECT pg_try_advisory_lock(%s)", (_REBUILD_LOCK,)).fetchone()
        if row is None or not row[0]:
            raise CannotRebuild("Another rebuild is running.")
        conn.execute("SET statement_timeout TO 0")
        read_quickly(conn)
        yield Place(settings=settings, conn=conn, engine=engine)


def rebuilt(names: Sequence[str]) -> tuple[str, ...]:
    """The views that are meant, `all` included; raises CannotRebuild for one that is not there or never made again."""
    can = [each.name for each in BY_NAME.values() if each.rebuilt is not Rebuilt.NEVER]
    wanted = can if "all" in names else list(names)
    if not wanted:
        raise CannotRebuild(f"Say which view: {', '.join(can)} or all.")
    if unknown := [name for name in wanted if name not in can]:
        raise CannotRebuild(f"{', '.join(unknown)} cannot be rebuilt; these can: {', '.join(can)}, all.")
    return tuple(wanted)


def rebuild(place: Place, names: Sequence[str], report: Report) -> None:
    """Makes these views again and switches: tables first, because the index is made from them."""
    if projections := log_projections(names):
        codec = Codec(Registry(place.settings.registry_url))
        _complete(place, next_set(place.conn, codec, projections), report)
    if SEARCH in names:
        build = IndexBuild(place.conn, place.engine)
        build.run(lambda done, total: report("segments", done, total))
        switch_index(place.conn, place.engine, build.version)


def take_back(place: Place, names: Sequence[str], report: Report) -> None:
    """The old versions live again; tables are first brought up to now. Raises CannotRebuild where there is none."""
    if projections := log_projections(names):
        codec = Codec(Registry(place.settings.registry_url))
        found = old_set(place.conn, codec, projections)
        if found is None:
            raise CannotRebuild("There is no old version to go back to.")
        _complete(place, found, report)
    if SEARCH in names:
        settle(place.conn, place.engine)
        old = find(place.conn, SEARCH, State.OLD)
        if old is None:
            raise CannotRebuild("There is no old index to go back to.")
        switch_index(place.conn, place.engine, old.version)


def drop(place: Place, names: Sequence[str], state: State) -> list[str]:
    """Versions in this state go away; what went."""
    if SEARCH in names:
        settle(place.conn, place.engine)
    gone = [found for found in versions(place.conn) if found.projection in names and found.state is state]
    for version in gone:
        drop_version(place.conn, place.engine, version.projection, version.version)
    return [version.schema for version in gone]


def drop_version(conn: Connection, engine: SearchEngine, projection: str, number: int) -> None:
    """One version that is not live goes away, tables or index."""
    if projection == SEARCH:
        drop_index(conn, engine, number)
    else:
        with conn.transaction():
            drop_tables(conn, projection, number)


def drop_left(settings: Settings, older_s: float) -> int:
    """Versions that nobody reads and nobody has worked on for so long go away; how many. None while a rebuild runs."""
    try:
        with at_work(settings) as place:
            settle(place.conn, place.engine)
            left = run(place.conn, "beside_since", older_s=older_s).fetchall()
            for projection, number in left:
                drop_version(place.conn, place.engine, projection, number)
            return len(left)
    except CannotRebuild:
        return 0


def overview(conn: Connection) -> list[Version]:
    """Every version of every view."""
    for projection in BY_NAME.values():
        if projection.rebuilt is not Rebuilt.NEVER:
            ensure_live(conn, projection.name)
    return versions(conn)


def _complete(place: Place, made: LogSet, report: Report) -> None:
    """Reads the log until the set is nearly at its end, then switches."""
    kafka = place.settings.kafka
    with read_onwards(kafka, TRANSCRIPTS, made.places(place.conn)) as reader:
        _read_up(place.conn, made, reader, report)
        analyze(place.conn, made)
        _read_up(place.conn, made, reader, report)
        try:
            switch(place.conn, made, reader, kafka.group(PROJECTOR))
        except CannotSwitch as error:
            raise CannotRebuild(str(error)) from error


def _read_up(conn: Connection, made: LogSet, reader: Onwards, report: Report) -> None:
    done, ends = 0, reader.ends()
    while True:
        left = sum(max(0, ends[p] - place) for p, place in reader.places.items())
        report("records", done, done + left)
        if left <= NEARLY:
            ends = reader.ends()
            if sum(max(0, ends[p] - place) for p, place in reader.places.items()) <= NEARLY:
                return
        done += made.catch_up(conn, reader)
