"""Which search indices there are, agreed upon by the engine and the table of versions.

In: an engine and a connection. Out: the same answer on both sides, whatever was killed in between.
Whoever writes documents holds the lock in common; whoever changes what is written, or what is live, holds it alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from projections.rebuilding.versions import State, ensure_live, find, run, versions
from projections.search.index import ALIAS, index_body, index_of, version_of, writers_alias
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
    """All versions that are kept up to date, the live one last: what it shows, the others hold already."""
    found = [version for version in versions(conn) if version.projection == SEARCH]
    found.sort(key=lambda version: version.state is State.LIVE)
    return [version.version for version in found]


def settle(conn: Connection, engine: SearchEngine) -> None:
    """The readers' alias decides which version is live; versions without an index are forgotten."""
    with changing(conn):
        target = engine.alias_target(ALIAS)
        live = find(conn, SEARCH, State.LIVE)
        if target is None:
            number = live.version if live else 1
            engine.create_index(index_of(number), index_body(), ALIAS)
        else:
            number = version_of(target)
        ensure_live(conn, SEARCH, number)
        if live is not None and live.version != number:
            run(conn, "promote", projection=SEARCH, version=number)
        for version in versions(conn):
            if version.projection == SEARCH:
                _name_for_writers(conn, engine, version.version)


def _name_for_writers(conn: Connection, engine: SearchEngine, number: int) -> None:
    if not engine.exists(index_of(number)):
        run(conn, "forget", projection=SEARCH, version=number)
    elif not engine.exists(writers_alias(number)):
        with crash_point("index.writers"):
            engine.put_alias(writers_alias(number), index_of(number))
