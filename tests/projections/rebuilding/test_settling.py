"""Indices and the table of their versions, when one of them was stopped, or taken back, without the other."""

from collections.abc import Iterator, Mapping

import pytest

from projections.rebuilding.index_build import IndexBuild, switch_index
from projections.rebuilding.indexes import SEARCH, settle, written
from projections.rebuilding.rebuild import Place, at_work, drop, drop_left
from projections.rebuilding.versions import State, find, run
from projections.search.index import ALIAS, index_body, index_of, writers_alias
from runtime.errors import Unavailable
from runtime.settings import Settings


@pytest.fixture
def place(workspace: Mapping[str, str]) -> Iterator[Place]:
    """An empty index, version 1, and the right to rebuild."""
    with at_work(Settings.read(workspace)) as place:
        settle(place.conn, place.engine)
        yield place


def there(place: Place) -> list[int]:
    """Versions that have an index."""
    return [number for number in range(1, 9) if place.engine.exists(index_of(number))]


def rebuild(place: Place) -> None:
    """The next version of nothing."""
    build = IndexBuild(place.conn, place.engine)
    build.run(lambda _done, _total: None)
    switch_index(place.conn, place.engine, build.version)


def test_a_table_of_before_a_rebuild_learns_what_is_live(place: Place) -> None:
    """As after a backup was restored."""
    rebuild(place)
    run(place.conn, "forget", projection=SEARCH, version=2)
    place.conn.execute("UPDATE view_versions SET state = 'live' WHERE projection = 'search'")
    settle(place.conn, place.engine)
    assert written(place.conn) == [1, 2]
    assert place.engine.exists(writers_alias(2))
    assert find(place.conn, SEARCH, State.LIVE) is not None


def test_marks_are_not_struck_off_while_no_version_is_live(place: Place) -> None:
    place.conn.execute("UPDATE view_versions SET state = 'old' WHERE projection = 'search'")
    with pytest.raises(Unavailable):
        written(place.conn)
    settle(place.conn, place.engine)
    assert written(place.conn) == [1]


def test_an_index_that_no_version_stands_for_is_deleted(place: Place) -> None:
    """As one that was to be dropped when the engine went away, or one of a build that a backup knows nothing of."""
    rebuild(place)
    run(place.conn, "forget", projection=SEARCH, version=1)
    place.engine.create_index(index_of(7), index_body(), ALIAS)
    assert there(place) == [1, 2, 7]
    settle(place.conn, place.engine)
    assert there(place) == [2]


def test_a_switch_that_was_not_noted_is_not_taken_for_a_build(place: Place) -> None:
    IndexBuild(place.conn, place.engine)
    place.engine.move_alias(ALIAS, index_of(1), index_of(2))
    assert drop(place, ["search"], State.NEXT) == []
    assert written(place.conn) == there(place) == [1, 2]


def test_what_readers_use_is_never_dropped_by_age(workspace: Mapping[str, str]) -> None:
    settings = Settings.read(workspace)
    with at_work(settings) as place:
        settle(place.conn, place.engine)
        IndexBuild(place.conn, place.engine)
        place.engine.move_alias(ALIAS, index_of(1), index_of(2))
    assert drop_left(settings, 0.0) == 1
    with at_work(settings) as place:
        assert written(place.conn) == there(place) == [2]
        assert place.engine.alias_target(ALIAS) == index_of(2)
