"""The drill "When PostgreSQL is lost" with real processes: the database goes under them, and everything comes back.

Once an older backup takes its place, once an empty database. The processes are only started again when they end.
"""

import re
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import psycopg
import pytest
from psycopg import sql

from api.accounts.keys import create_key, list_keys
from effects.retention import Retention, all_retentions, set_retention
from local.engines.postgres import binaries
from local.layout import CHECKOUT
from local.settings import STUB_ENGINES
from local.workspace import ADMIN_DATABASE, database_of, with_database
from projections.rebuilding.rebuild import at_work, rebuild
from runtime.faults import FIRED
from runtime.objects import ObjectStore
from runtime.postgres import apply_schema
from tests.deadline import until
from tests.e2e.client import Client, Json
from tests.e2e.conftest import TENANT, Pipeline, restarted, running_pipeline
from tests.e2e.history import History
from tests.e2e.recordings import SAMPLE_RATE_HZ, flac

TIMEOUT_S = 150.0
# Two chunks, of which the second fails until somebody asks for a retry.
GAP_S = 45
GAP = "stub:fail-round=0-from=1"
AUDIO = "/audio"
# Those that use the database.
USERS = ("api", "chunker", "chunker-long", "assembler", "projector", "effects")
PAGE = (CHECKOUT / "docs" / "operating.md").read_text(encoding="utf-8")
SMALL_BACKUP = re.compile(r"`pg_dump((?: --table=\w+)+)`")
# What the processes die of on their way back.
ORDERS = ("assembler:recovery.commit:after:1", "assembler:resume.commit:before:1", "projector:batch.commit:after:1")
pytestmark = pytest.mark.timeout(900)
Shown = tuple[Json, Json, list[tuple[int, str, Any]]]


class Office:
    """A tenant at work: what it asked for, and what it saw, which must be there after a loss."""

    def __init__(self, pipeline: Pipeline, orders: Path) -> None:
        self.pipeline = pipeline
        self.orders = orders
        self.client = pipeline.client()
        self.seen: dict[str, Shown] = {}
        self.words: dict[str, str] = {}
        self.erased: list[str] = []
        self._numbers = count(secrets.randbelow(1_000_000))

    def submitted(self, duration_s: int = 12, **options: str) -> str:
        """A new job of a recording that no other job has."""
        noise = np.random.default_rng(next(self._numbers)).normal(size=duration_s * SAMPLE_RATE_HZ) * 3000
        return str(self.client.submit("recording.flac", flac(noise.astype(np.int16)), **options)["id"])

    def transcribed(self, duration_s: int = 12, **options: str) -> str:
        """A job with its transcript."""
        job_id = self.submitted(duration_s, **options)
        assert self.client.ended(job_id, TIMEOUT_S)["status"] == "completed"
        return job_id

    def correct(self, job_id: str) -> None:
        """Puts a word that stands nowhere else into the first segment, and sees it in search."""
        segment = self.client.transcript(job_id)["segments"][0]
        word = f"word{next(self._numbers)}"
        place = f"/v1/transcriptions/{job_id}/segments/{segment['id']}"
        headers = {"If-Match": f'"{segment["revision"]}"'}
        assert self.client.http.patch(place, json={"text": f"the {word}"}, headers=headers).status_code in (200, 202)
        assert [hit["job_id"] for hit in self.client.found(word, TIMEOUT_S)] == [job_id]
        self.words = {known: whose for known, whose in self.words.items() if known not in segment["text"]}
        self.words[word] = job_id

    def name(self, job_id: str) -> None:
        """Names the first speaker, and sees it."""
        speaker = self.client.transcript(job_id)["segments"][0]["speaker_id"]
        place = f"/v1/transcriptions/{job_id}/speakers"
        assert self.client.http.put(f"{place}/{speaker}", json={"name": "Ada"}).status_code in (200, 202)
        until(lambda: "Ada" in self.client.http.get(place).text, TIMEOUT_S, "the name shows")

    def erase(self, job_id: str) -> None:
        """Has a job forgotten."""
        assert self.client.http.delete(f"/v1/transcriptions/{job_id}").status_code in (202, 204)
        until(lambda: self.gone(job_id), TIMEOUT_S, "it is gone")
        self.erased.append(job_id)
        self.words = {word: whose for word, whose in self.words.items() if whose != job_id}

    def gone(self, job_id: str) -> bool:
        """Whether the server says that the job was erased."""
        return self.client.http.get(f"/v1/transcriptions/{job_id}").status_code == httpx.codes.GONE

    def remember(self, *job_ids: str) -> None:
        """From now on each of the jobs must be seen as it is now."""
        self.seen |= {job_id: self._shown(job_id) for job_id in job_ids}

    def _shown(self, job_id: str) -> Shown:
        return self.client.job(job_id), self.client.transcript(job_id), list(self.client.events(job_id))

    def sees_all(self) -> bool:
        """Whether everything is seen as before, and the erased jobs are not."""
        return (
            all(self.gone(job_id) for job_id in self.erased)
            and all([hit["job_id"] for hit in self.client.search(word)] == [job] for word, job in self.words.items())
            and all(self._shown(job_id) == seen for job_id, seen in self.seen.items())
        )


@pytest.fixture(scope="module")
def office(module_workspace: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Running processes that are started again when they end; whatever is no job's recording is deleted at once."""
    orders = tmp_path_factory.mktemp("orders")
    settings = {
        **module_workspace,
        **STUB_ENGINES,
        "PALIMPSEST_ORPHAN_HOURS": "0",
        "PALIMPSEST_FAULT_DIR": str(orders),
    }
    with running_pipeline(settings, tmp_path_factory.mktemp("logs")) as pipeline, restarted(pipeline):
        made = Office(pipeline, orders)
        _sweep_orphans(pipeline)
        yield made


def _sweep_orphans(pipeline: Pipeline) -> None:
    """Has the sweep run once. Nobody may upload meanwhile: until it is accepted, a recording belongs to no job."""
    store = ObjectStore(pipeline.settings.objects)
    pipeline.processes.signal(signal.SIGSTOP, "effects")
    orphan = f"{TENANT}/{uuid4()}/part"
    store.put(orphan, b"x")
    pipeline.processes.signal(signal.SIGKILL, "effects")
    until(lambda: not list(store.keys(orphan)), TIMEOUT_S, "the orphan is swept")
    store.close()


def _recordings(office: Office) -> set[str]:
    """Keys of all recordings, but for those of erased jobs, which may go at any moment."""
    store = ObjectStore(office.pipeline.settings.objects)
    found = {key for key in store.keys("") if key.endswith(AUDIO) and key.split("/")[1] not in office.erased}
    store.close()
    return found


def _run(program: str, *arguments: str) -> None:
    done = subprocess.run([str(binaries() / program), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@contextmanager
def lost(dsn: str) -> Iterator[str]:
    """The database is dropped under whoever uses it; the block fills another one, which then takes its place."""
    name = database_of(dsn)
    with psycopg.connect(with_database(dsn, ADMIN_DATABASE), autocommit=True) as conn:

        def execute(text: str, *names: str) -> None:
            conn.execute(sql.SQL(text).format(*map(sql.Identifier, names)))

        execute("DROP DATABASE {} WITH (FORCE)", name)
        execute("CREATE DATABASE {}", f"{name}_new")
        yield with_database(dsn, f"{name}_new")
        execute("ALTER DATABASE {} RENAME TO {}", f"{name}_new", name)


def _lose(office: Office, fill: Callable[[str], Client]) -> None:
    """The drill; prints how long it took."""
    kept, begun = _recordings(office), time.monotonic()
    with lost(office.pipeline.settings.postgres_dsn) as dsn:
        for order in ORDERS:
            (office.orders / order).touch()
        office.client = fill(dsn)
    until(lambda: _all_there(office), TIMEOUT_S, "everything is seen as before, and all processes are ready")
    print(f"\n{len(office.seen)} jobs were back {time.monotonic() - begun:.1f} s after the database was dropped")
    for order in ORDERS:
        (office.orders / (order + FIRED)).unlink()
    _sweep_orphans(office.pipeline)
    assert _recordings(office) == kept


def _all_there(office: Office) -> bool:
    if not all((office.orders / (order + FIRED)).exists() for order in ORDERS):
        return False
    try:
        return office.pipeline.processes.all_ready(*USERS) and office.sees_all()
    except (httpx.TransportError, AssertionError):
        return False  # away, or not read so far


@contextmanager
def _held_open(office: Office) -> Iterator[str]:
    """A job that cannot end until the block has ended."""
    office.pipeline.processes.signal(signal.SIGSTOP, "speech-diarization")
    try:
        yield office.submitted()
    finally:
        office.pipeline.processes.signal(signal.SIGCONT, "speech-diarization")


def _goes_on(office: Office, *, old: str, with_gap: str, open_job: str) -> None:
    """Old jobs can be changed, the open one ends, new ones are made, and no number was given twice."""
    assert office.client.ended(open_job, TIMEOUT_S)["status"] == "completed"
    office.correct(old)
    assert office.client.http.post(f"/v1/transcriptions/{with_gap}/retry").status_code in (200, 202)
    until(lambda: not office.client.job(with_gap)["gaps"], TIMEOUT_S, "the gap is filled")
    assert office.client.ended(with_gap, TIMEOUT_S)["status"] == "completed"
    new = office.transcribed()
    assert all(office.gone(job_id) for job_id in office.erased)
    history = History(office.pipeline.settings)
    assert [said for said in history.violations if not any(job_id in said for job_id in office.erased)] == []
    for job_id in (*office.seen, open_job, new):
        assert history.status(job_id) == "completed"
        shown = {s["id"]: (s["revision"], s["text"]) for s in office.client.transcript(job_id)["segments"]}
        assert shown == history.segments(job_id)
    office.remember(*office.seen, open_job, new)


def test_an_older_backup_is_brought_up_to_the_log(office: Office, tmp_path: Path) -> None:
    dsn, backup = office.pipeline.settings.postgres_dsn, str(tmp_path / "backup")
    old, forgotten, later_forgotten = (office.transcribed() for _ in range(3))
    with_gap = office.transcribed(GAP_S, vocabulary=GAP)
    office.correct(old)
    office.name(old)
    office.erase(forgotten)
    with _held_open(office) as open_job:
        _run("pg_dump", "--format=custom", f"--file={backup}", f"--dbname={dsn}")
        new = office.transcribed(diarize="false")
        office.correct(new)
        office.correct(with_gap)
        office.erase(later_forgotten)
        with at_work(office.pipeline.settings) as place:
            rebuild(place, ["search"], lambda _unit, _done, _total: None)
        office.remember(old, with_gap, new)
        assert office.client.job(open_job)["status"] == "processing"

        def restore(empty: str) -> Client:
            _run("pg_restore", "--single-transaction", "--exit-on-error", f"--dbname={empty}", backup)
            return office.client

        _lose(office, restore)
    _goes_on(office, old=old, with_gap=with_gap, open_job=open_job)


def test_without_a_backup_everything_comes_from_the_log(office: Office) -> None:
    old, forgotten = office.transcribed(), office.transcribed()
    with_gap = office.transcribed(GAP_S, vocabulary=GAP)
    office.correct(old)
    office.name(old)
    office.erase(forgotten)
    office.remember(old, with_gap)
    with _held_open(office) as open_job:
        until(lambda: office.client.job(open_job)["status"] == "processing", TIMEOUT_S, "its audio is cut")

        def begin_anew(empty: str) -> Client:
            apply_schema(empty)
            return Client(office.pipeline.processes.api_url, create_key(empty, TENANT, "after the loss"))

        _lose(office, begin_anew)
    _goes_on(office, old=old, with_gap=with_gap, open_job=open_job)


def test_the_small_backup_has_what_is_in_no_log(workspace: Mapping[str, str], tmp_path: Path) -> None:
    dsn, backup = workspace["PALIMPSEST_POSTGRES_DSN"], str(tmp_path / "small")
    create_key(dsn, TENANT, "before the loss")
    set_retention(dsn, Retention(tenant_id=TENANT, audio_days=30, transcript_days=None))
    before = list_keys(dsn, TENANT)
    (tables,) = SMALL_BACKUP.findall(PAGE)
    _run("pg_dump", "--format=custom", f"--file={backup}", f"--dbname={dsn}", *tables.split())
    with lost(dsn) as empty:
        _run("pg_restore", "--single-transaction", "--exit-on-error", f"--dbname={empty}", backup)
        apply_schema(empty)
    assert list_keys(dsn, TENANT) == before
    assert all_retentions(dsn) == [Retention(tenant_id=TENANT, audio_days=30, transcript_days=None)]
