"""Rebuilds beside a running projector: what readers see meanwhile, and that the result is the fold of the log."""

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial

import psycopg
import pytest

from projections.rebuilding.hashes import Content, content
from projections.rebuilding.rebuild import CannotRebuild, at_work, drop, drop_left, overview, rebuild, take_back
from projections.rebuilding.versions import State
from projections.search.index import ALIAS, index_of
from runtime.opensearch import SearchEngine
from runtime.postgres import Connection, connection
from runtime.settings import Settings
from schemas import records
from tests.deadline import until
from tests.e2e.processes import Processes
from tests.projections.facts import Job, conversation, segment
from tests.projections.log import Log, count, indexed

PATIENCE_S = 120.0
ALL = ("jobs", "transcripts", "history", "search")
TABLES = ALL[:3]
SEGMENTS = 3  # of each conversation
SEARCH_LAG_S = 10.0  # "within about a second", and what a busy machine adds
# After something was seen to change: at once, when a version has just begun, and anywhere later.
KILLS_AFTER_S = (0.0, 0.1, 0.3, 0.6)
SWITCH_S = 0.1
PERIOD_S = 0.05


def silent(_unit: str, _done: int, _total: int) -> None:
    """Nobody watches."""


class Jobs:
    """Conversations on the log, one after the other."""

    def __init__(self, log: Log, settings: Settings) -> None:
        self._log = log
        self._settings = settings
        self.written = self.erased = 0

    def write(self, many: int = 1) -> list[Job]:
        """So many more, each with a correction."""
        jobs = []
        for _ in range(many):
            self.written += 1
            job = conversation(self.written)
            job.fact(records.SpeakerNamed, speaker_id="spk1", name="Ada")
            job.fact(records.SegmentsRevised, removed=("s5-3",), segments=(segment("s5-1", "The slow fox"),))
            self._log.write(job.facts)
            jobs.append(job)
        return jobs

    def seen(self) -> None:
        """Returns when every view and the index hold all of them."""
        segments = SEGMENTS * (self.written - self.erased)
        until(partial(indexed, self._settings.postgres_dsn, segments), PATIENCE_S, "all is indexed")


@pytest.fixture(scope="module")
def jobs(log: Log, settings: Settings, projector: Processes) -> Jobs:
    """A few jobs that are there already."""
    made = Jobs(log, settings)
    made.write(20)
    made.seen()
    return made


def contents(settings: Settings, state: State) -> dict[str, Content]:
    """What the versions in this state hold, by view."""
    with (
        connection(settings.postgres_dsn, autocommit=True) as conn,
        closing(SearchEngine(settings.opensearch)) as engine,
    ):
        found = [version for version in overview(conn) if version.state is state]
        for version in found:
            if version.projection == "search":
                engine.refresh(index_of(version.version))
        return {version.projection: content(conn, engine, version) for version in found}


def rebuild_now(settings: Settings, *names: str) -> None:
    """What the command does."""
    with at_work(settings) as place:
        rebuild(place, names or ALL, silent)


@contextmanager
def running(step: Callable[[], object]) -> Iterator[None]:
    """Does this again and again beside the block; what it raised is raised at the end."""
    stop, failures = threading.Event(), list[BaseException]()

    def loop() -> None:
        try:
            while not stop.wait(PERIOD_S):
                step()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if failures:
        raise failures[0]


class NeverFalls:
    """A number that may grow and may not fall."""

    def __init__(self, read: Callable[[], int]) -> None:
        self._read = read
        self.seen: list[int] = [0]

    def look(self) -> None:
        """Reads it again."""
        now = self._read()
        assert now >= self.seen[-1], f"fell from {self.seen[-1]} to {now}"
        self.seen.append(now)


def test_i18_readers_never_see_less_while_everything_is_rebuilt_under_load(jobs: Jobs, settings: Settings) -> None:
    body = {"size": 0, "track_total_hits": True, "query": {"match": {"text": "fox"}}}
    with closing(SearchEngine(settings.opensearch)) as engine, psycopg.connect(settings.postgres_dsn) as conn:
        conn.autocommit, conn.prepare_threshold = True, 0

        def segments() -> int:
            row = conn.execute("SELECT count(*) FROM transcript_segment JOIN job_state USING (job_id)").fetchone()
            return int(row[0]) if row else 0

        hits = NeverFalls(lambda: int(engine.search(ALIAS, body)["hits"]["total"]["value"]))
        rows = NeverFalls(segments)
        with running(jobs.write), running(hits.look), running(rows.look):
            for _ in range(2):
                rebuild_now(settings)
        jobs.seen()
    assert len(hits.seen) > 20 and len(rows.seen) > 20
    assert hits.seen[-1] > 0
    live = contents(settings, State.LIVE)
    rebuild_now(settings)
    assert contents(settings, State.LIVE) == live


def test_i15_i16_i17_a_view_that_was_spoilt_is_the_fold_of_the_log_again(jobs: Jobs, settings: Settings) -> None:
    jobs.seen()
    right = contents(settings, State.LIVE)
    with psycopg.connect(settings.postgres_dsn) as conn:
        conn.execute("UPDATE transcript_segment SET text = 'nonsense'")
        conn.execute("DELETE FROM history")
    assert contents(settings, State.LIVE)["history"] != right["history"]
    rebuild_now(settings)
    assert contents(settings, State.LIVE) == right


class Killed:
    """Calls of the command that are killed at moments which the database tells; what each left."""

    def __init__(self, settings: Settings, environment: Mapping[str, str], conn: Connection) -> None:
        self._settings = settings
        self._environment = {**os.environ, **environment}
        self._conn = conn
        self.left: list[set[State]] = []

    def start(self) -> subprocess.Popen[bytes]:
        """The command."""
        command = [sys.executable, "-m", "cli", "rebuild", "all"]
        return subprocess.Popen(command, env=self._environment, stdout=subprocess.DEVNULL)

    def once_begun(self, after_s: float) -> None:
        """Killed so long after this call changed any version."""
        before = overview(self._conn)
        process = self.start()
        until(lambda: overview(self._conn) != before, PATIENCE_S, "the rebuild changes a version")
        time.sleep(after_s)
        self._kill(process)

    def at_the_switch(self, then_s: float | None) -> None:
        """Killed while it waits for a reader of the live tables, or so long after the reader went."""
        with psycopg.connect(self._settings.postgres_dsn) as reader:
            reader.execute("SELECT FROM history LIMIT 1")
            process = self.start()
            until(self._switch_waits, PATIENCE_S, "the switch waits for the reader")
            if then_s is None:
                self._kill(process)
        if then_s is not None:
            time.sleep(then_s)
            self._kill(process)

    def _switch_waits(self) -> bool:
        row = self._conn.execute(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        ).fetchone()
        return row is not None and row[0] > 0

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait()
        until(lambda: _nobody_at_work(self._settings), PATIENCE_S, "the database has noticed")
        self.left.append({version.state for version in overview(self._conn)})


def _nobody_at_work(settings: Settings) -> bool:
    try:
        with at_work(settings):
            return True
    except CannotRebuild:
        return False


def test_a_rebuild_that_is_killed_at_any_instant_goes_on(
    jobs: Jobs, settings: Settings, module_workspace: Mapping[str, str]
) -> None:
    jobs.seen()
    right = contents(settings, State.LIVE)
    with connection(settings.postgres_dsn, autocommit=True) as conn:
        killed = Killed(settings, module_workspace, conn)
        for after_s in KILLS_AFTER_S:
            killed.once_begun(random.uniform(after_s / 2, after_s))
            assert contents(settings, State.LIVE) == right
        for then_s in (None, random.uniform(0.0, SWITCH_S)):
            killed.at_the_switch(then_s)
            assert contents(settings, State.LIVE) == right
    assert State.NEXT in killed.left[0] | killed.left[1]  # something had begun
    assert State.NEXT in killed.left[-2]  # and was not live yet
    assert killed.start().wait(PATIENCE_S) == 0
    assert contents(settings, State.LIVE) == right
    assert contents(settings, State.NEXT) == {}


def test_the_way_back_has_what_happened_since_and_nothing_of_what_was_erased(
    jobs: Jobs, settings: Settings, log: Log
) -> None:
    rebuild_now(settings)
    (gone,) = jobs.write()
    jobs.seen()
    gone.erased()
    log.write(gone.facts[-1:])
    until(lambda: _rows_of(settings, "public", gone) == 0, PATIENCE_S, "the job is erased")
    assert all(_rows_of(settings, schema, gone) == 0 for schema in _kept(settings))
    jobs.erased += 1
    jobs.seen()
    right = contents(settings, State.LIVE)
    assert contents(settings, State.OLD)["search"] == right["search"]
    with at_work(settings) as place:
        take_back(place, ALL, silent)
    assert contents(settings, State.LIVE) == right
    assert contents(settings, State.OLD).keys() == right.keys()


def _kept(settings: Settings) -> Sequence[str]:
    with connection(settings.postgres_dsn) as conn:
        old = [version for version in overview(conn) if version.state is State.OLD]
        return [version.schema for version in old if version.projection == "transcripts"]


def _rows_of(settings: Settings, schema: str, job: Job) -> int:
    table = f"{schema}.transcript_segment"
    return count(settings.postgres_dsn, f"SELECT count(*) FROM {table} WHERE job_id = '{job.job_id}'")


def test_what_is_not_live_can_be_dropped_and_the_live_one_cannot(jobs: Jobs, settings: Settings) -> None:
    rebuild_now(settings)
    live = contents(settings, State.LIVE)
    assert drop_left(settings, 3_600.0) == 0
    with at_work(settings) as place:
        assert len(drop(place, ALL, State.OLD)) == len(ALL)
        with pytest.raises(CannotRebuild):
            take_back(place, ALL, silent)
        with pytest.raises(CannotRebuild):
            take_back(place, ("search",), silent)
        with pytest.raises(CannotRebuild), at_work(settings):
            raise AssertionError("two rebuilds at once")
    rebuild_now(settings, "jobs")
    assert drop_left(settings, 0.0) == 1
    assert contents(settings, State.OLD) == {}
    assert contents(settings, State.LIVE) == live
    with closing(SearchEngine(settings.opensearch)) as engine, connection(settings.postgres_dsn) as conn:
        shown = [version.version for version in overview(conn) if version.projection == "search"]
        assert [n for n in range(1, max(shown) + 1) if engine.exists(index_of(n))] == shown


def test_i20_search_follows_what_the_views_say(jobs: Jobs, settings: Settings) -> None:
    jobs.seen()
    (job,) = jobs.write()
    shown = f"SELECT count(*) FROM job_state WHERE status = 'completed' AND job_id = '{job.job_id}'"
    until(lambda: count(settings.postgres_dsn, shown) == 1, PATIENCE_S, "the job is completed")
    body = {"query": {"term": {"job_id": job.job_id}}}
    with closing(SearchEngine(settings.opensearch)) as engine:
        until(lambda: len(engine.search(ALIAS, body)["hits"]["hits"]) > 1, SEARCH_LAG_S, "search finds it")
