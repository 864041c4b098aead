"""Which search indices there are, agreed upon by the engine and the table of versions.

In: an engine and a connection. Out: the same answer on both sides, whatever was killed in between, and also where the
table is older than the engine, as after a backup was restored. Whoever writes documents holds the lock in common;
whoever changes what is written, or what is live, holds it alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from projections.rebuilding.versions import State, Version, ensure_live, find, run, versions
from projections.search.index import ALIAS, EVERY_VERSION, index_body, index_of, version_of, writers_alias
from runtime.errors import Unavailable
from runtime.faults import crash_point
from runtime.opensearch import SearchEngine
from runtime.postgres import Connection, transaction

SEARCH = "search"
_WRITERS_LOCK = 7_260_003  # any number, the same in every version of this program


@contextmanager
def writing(conn: Connection) -> Iterator[None]:
    """No version comes or becomes live meanwhile. An error must end the connection, and with it the lock."""
    conn.execute("SELECT pg_advisory_lock_shared(%s)", (_WRITERS_LOCK,))
    yield
    conn.execute("SELECT pg_advisory_unlock_shared(%s)", (_WRITERS_LOCK,))


@contextmanager
def changing(conn: Connection) -> Iterator[None]:
    """Nobody writes a document meanwhile; in one transaction."""
    with transaction(conn, "versions.change"):
        conn.execute("SELECT pg_advisory_xact_lock(%s)", (_WRITERS_LOCK,))
        yield


def written(conn: Connection) -> list[int]:
    """All versions that are kept up to date, the live one last: what it shows, the others hold already.

    Raises Unavailable where none is live, for then whoever searches would not see what is written.
    """
    found = _known(conn)
    found.sort(key=lambda version: version.state is State.LIVE)
    if not found or found[-1].state is not State.LIVE:
        raise Unavailable("no version of the search index is known to be live")
    return [version.version for version in found]


def settle(conn: Connection, engine: SearchEngine) -> None:
    """The readers' alias decides which version is live; a version without an index is forgotten, and an index that no
    version stands for, which nobody would keep up to date, is deleted."""
    with changing(conn):
        target = engine.alias_target(ALIAS)
        live = find(conn, SEARCH, State.LIVE)
        if target is None:
            number = live.version if live else 1
            engine.create_index(index_of(number), index_body(), ALIAS)
        else:
            number = version_of(target)
        if live is not None and live.version != number:
            run(conn, "promote", projection=SEARCH, version=number)
        ensure_live(conn, SEARCH, number)
        for version in _known(conn):
            _name_for_writers(conn, engine, version.version)
        known = {index_of(version.version) for version in _known(conn)}
        for index in engine.indices(EVERY_VERSION):
            if index not in known:
                with crash_point("index.delete"):
                    engine.delete_index(index)


def _known(conn: Connection) -> list[Version]:
    return [version for version in versions(conn) if version.projection == SEARCH]


def _name_for_writers(conn: Connection, engine: SearchEngine, number: int) -> None:
    if not engine.exists(index_of(number)):
        run(conn, "forget", projection=SEARCH, version=number)
    elif not engine.exists(writers_alias(number)):
        with crash_point("index.writers"):
            engine.put_alias(writers_alias(number), index_of(number))
