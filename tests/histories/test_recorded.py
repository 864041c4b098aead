"""What earlier releases wrote, read by today's code: decoded, folded, shown as it was."""

from collections.abc import Iterator, Mapping

import psycopg
import pytest

from projections.search.indexer import Indexer
from runtime.opensearch import SearchEngine
from runtime.postgres import Connection
from runtime.settings import Settings
from tests.histories.recorded_files import Recorded, all_recorded
from tests.histories.shown import differences, shown
from tests.histories.stories import stories

RECORDED = all_recorded()


@pytest.fixture(scope="module")
def conn(module_workspace: Mapping[str, str]) -> Iterator[Connection]:
    with psycopg.connect(module_workspace["PALIMPSEST_POSTGRES_DSN"]) as connection:
        yield connection


@pytest.fixture(scope="module")
def indexer(module_workspace: Mapping[str, str]) -> Indexer:
    """Builds documents; never started."""
    read = Settings.read(module_workspace)
    return Indexer(SearchEngine(read.opensearch), read.postgres_dsn)


@pytest.mark.parametrize("job", RECORDED, ids=lambda job: f"{job.release}-{job.kind}")
def test_an_old_history_gives_what_it_gave(conn: Connection, indexer: Indexer, job: Recorded) -> None:
    assert list(differences(job.expected, shown(conn, indexer, job.facts()))) == []


def test_every_kind_of_job_is_recorded() -> None:
    assert {job.kind for job in RECORDED} >= set(stories())


def test_a_change_is_found() -> None:
    job = next(job for job in RECORDED if job.kind == "plain")
    assert list(differences(job.expected, {**job.expected, "state": {**job.expected["state"], "seq": 0}}))
    assert list(differences(job.expected, {**job.expected, "documents": []}))
    without = {name: rows for name, rows in job.expected["views"].items() if name != "job_state"}
    assert list(differences(job.expected, {**job.expected, "views": without})) == ["/views/job_state is gone"]


def test_what_came_later_is_no_change() -> None:
    job = next(job for job in RECORDED if job.kind == "plain")
    rows = [{**row, "a_later_column": 1} for row in job.expected["views"]["job_state"]]
    later = {**job.expected, "views": {**job.expected["views"], "job_state": rows, "a_later_table": []}}
    assert list(differences(job.expected, later)) == []
