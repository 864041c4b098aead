"""Laws that every projection of the registry keeps, in real PostgreSQL.

Any permutation of a history with repeats gives the same views; what an erasure leaves behind is what the log that
remembers only the erasure gives; rows and tables fit each other.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projections.applying import apply_facts
from projections.registry import PROJECTIONS, Projection
from projections.search.documents import SegmentDocument
from projections.search.indexer import Indexer
from runtime.opensearch import SearchEngine
from runtime.postgres import Connection, load_sql
from runtime.settings import Settings
from schemas import records
from schemas.records import TranscriptRecord
from schemas.values import Segment
from tests.laws.histories import histories, shuffled
from tests.projections.facts import Job

EXAMPLES = settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
Dump = dict[str, list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def conn(module_workspace: Mapping[str, str]) -> Iterator[Connection]:
    """A connection to a database without jobs."""
    with psycopg.connect(module_workspace["PALIMPSEST_POSTGRES_DSN"]) as connection:
        yield connection


@pytest.fixture(scope="module")
def indexer(module_workspace: Mapping[str, str]) -> Indexer:
    """Builds documents; never started."""
    read = Settings.read(module_workspace)
    return Indexer(SearchEngine(read.opensearch), read.postgres_dsn)


@contextmanager
def passing(conn: Connection) -> Iterator[None]:
    """What is written inside is gone afterwards."""
    try:
        yield
    finally:
        conn.rollback()


def views(
    conn: Connection, indexer: Indexer, batches: Sequence[Sequence[TranscriptRecord]], everything: bool = True
) -> Dump:
    """All rows and all visible documents after these batches, applied to empty tables."""
    with passing(conn):
        for batch in batches:
            apply_facts(conn, 0, batch)
        dump = {table: _rows(conn, table) for table in _tables() if table != "search_pending"}
        dump["documents"] = _documents(conn, indexer)
        if everything:
            dump["pending"] = conn.execute("SELECT job_id, segment_id FROM search_pending ORDER BY 1, 2").fetchall()
        return dump


def _tables() -> list[str]:
    return [table for projection in PROJECTIONS for table in projection.tables]


def _rows(conn: Connection, table: str) -> list[tuple[Any, ...]]:
    return sorted(conn.execute(f"SELECT * FROM {table}".encode()).fetchall(), key=repr)


def _documents(conn: Connection, indexer: Indexer) -> list[tuple[Any, ...]]:
    indexer.take(frozenset({0}))
    documents = indexer.documents(conn, limit=1_000).documents
    visible = [each for each in documents if not each.body["deleted"]]
    return sorted(((each.id, each.version, each.tenant_id, each.body) for each in visible), key=repr)


def _in_batches(facts: Sequence[TranscriptRecord], size: int) -> list[Sequence[TranscriptRecord]]:
    return [facts[start : start + size] for start in range(0, len(facts), size)]


@pytest.mark.parametrize("erased", [False, True], ids=["standing", "erased"])
@EXAMPLES
@given(data=st.data())
def test_any_order_with_repeats_gives_the_same_views(
    conn: Connection, indexer: Indexer, erased: bool, data: st.DataObject
) -> None:
    facts = data.draw(histories(erased=erased))
    mixed = data.draw(shuffled(facts))
    size = data.draw(st.integers(1, 6))
    assert views(conn, indexer, _in_batches(mixed, size)) == views(conn, indexer, [[fact] for fact in facts])


def indexed(conn: Connection, indexer: Indexer, batches: Sequence[Sequence[TranscriptRecord]]) -> Mapping[str, object]:
    """What can be found when the index follows after every batch; like the engine, it keeps the greater version."""
    found: dict[str, SegmentDocument] = {}
    indexer.take(frozenset({0}))
    with passing(conn):
        for batch in batches:
            apply_facts(conn, 0, batch)
            for each in indexer.documents(conn, limit=1_000).documents:
                if each.id not in found or each.version >= found[each.id].version:
                    found[each.id] = each
            conn.execute("DELETE FROM search_pending")
    return {name: each.body for name, each in found.items() if not each.body["deleted"]}


@pytest.mark.parametrize("erased", [False, True], ids=["standing", "erased"])
@settings(EXAMPLES, max_examples=40)
@given(data=st.data())
def test_any_order_with_repeats_gives_the_same_index(
    conn: Connection, indexer: Indexer, erased: bool, data: st.DataObject
) -> None:
    facts = data.draw(histories(erased=erased))
    mixed = data.draw(shuffled(facts))
    size = data.draw(st.integers(1, 6))
    assert indexed(conn, indexer, _in_batches(mixed, size)) == indexed(conn, indexer, [[fact] for fact in facts])


@pytest.mark.parametrize("removed", [True, False])
def test_a_late_revision_reaches_the_index(conn: Connection, indexer: Indexer, removed: bool) -> None:
    segment = Segment(segment_id="s2-1", start_ms=0, end_ms=1_000, speaker_id="spk1", text="fox")
    given_to_another = () if removed else (replace(segment, speaker_id="spk2"),)
    job = Job(1)
    job.accepted()
    job.published((segment,), 0)
    job.fact(records.SegmentsRevised, removed=("s2-1",) if removed else (), segments=given_to_another, note=None)
    job.fact(records.SpeakerNamed, speaker_id="spk1", name="Ada")
    accepted, published, revised, named = ([fact] for fact in job.facts)
    late = indexed(conn, indexer, [accepted, published, named, revised])
    assert late == indexed(conn, indexer, [accepted, published, revised, named])


@EXAMPLES
@given(st.data())
def test_an_erased_job_leaves_what_a_log_of_tombstones_gives(
    conn: Connection, indexer: Indexer, data: st.DataObject
) -> None:
    facts = data.draw(histories(erased=True))
    erasure = next(i for i, fact in enumerate(facts) if isinstance(fact, records.JobErased))
    live = views(conn, indexer, [[fact] for fact in facts], everything=False)
    remembered = views(conn, indexer, [facts[erasure:]], everything=False)
    assert live == remembered
    assert live["documents"] == []


@EXAMPLES
@given(first=histories(1), second=histories(2, erased=True))
def test_jobs_do_not_touch_each_other(
    conn: Connection, indexer: Indexer, first: list[TranscriptRecord], second: list[TranscriptRecord]
) -> None:
    together = views(conn, indexer, [[*first, *second]])
    alone = [views(conn, indexer, [first]), views(conn, indexer, [second])]
    assert together == {name: sorted(alone[0][name] + alone[1][name], key=repr) for name in together}


@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda projection: projection.name)
@EXAMPLES
@given(facts=histories())
def test_rows_have_the_columns_of_their_table(
    conn: Connection, projection: Projection, facts: list[TranscriptRecord]
) -> None:
    sql = load_sql(projection.package, "project.sql")
    for write in (write for fact in facts for write in projection.project(fact)):
        target = re.match(r"INSERT INTO (\w+) AS kept", sql[write.statement.name])
        assert write.row["seq"] > 0
        assert {"job_id", "tenant_id", *write.statement.key} <= write.row.keys()
        if target:
            assert set(write.row) - {"occurred_at"} == _columns(conn, target[1]) - {"occurred_at"}


def _columns(conn: Connection, table: str) -> set[str]:
    description = conn.execute(f"SELECT * FROM {table} LIMIT 0".encode()).description or []
    return {column.name for column in description}


def test_every_statement_of_a_view_is_run() -> None:
    for projection in PROJECTIONS:
        named = {statement.name for statement in projection.statements}
        assert named == set(load_sql(projection.package, "project.sql"))
