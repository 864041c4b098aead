"""SIGTERM in the middle of work: each process ends in time, gives back the tries it began, and its successor goes on.

They are asked to end as `down` asks them, group by group from the local stack's own table, so that a new process is
asked, too. What a try is and where it is counted stands in `TRIES`, how a process is caught in the middle in `WORK`.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import AdminClient

from bench.recordings import noise
from local.processes import PROCESSES, STOP_ORDER
from local.settings import STUB_ENGINES
from runtime.errors import Unavailable
from runtime.objects import ObjectStore
from runtime.topic_reader import read_topic
from schemas.topics import DEAD_LETTERS, LONG_UPLOAD_BYTES
from streams.chunker.room import Room
from streams.speech.tries import decode
from tests.deadline import until
from tests.e2e.client import Json
from tests.e2e.conftest import TENANT, Pipeline, running_pipeline
from tests.e2e.history import History
from tests.streams.chunker.recordings import long_recording

JOBS = 3
JOB_S = 40
BUSY_TIMEOUT_S = 120.0
END_TIMEOUT_S = 180.0
SECOND_HALF_AFTER_S = 1.0
MINUTE_BYTES = 60 * 32_000
SLOW = "stub:slow=1"
OPEN = b"SELECT count(*) FROM job_state WHERE status IN ('queued', 'processing')"
BEGUN = b"SELECT sum(tries) FROM chunker_tries WHERE NOT answered"
IN_HAND = b"SELECT count(*) FROM assembler_attempts"
CLAIMED = b"SELECT count(*) FROM idempotency_keys WHERE answer_status IS NULL"


class Scene:
    """A running pipeline, and what it has promised."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.client = pipeline.client()
        self.client.http.headers["Connection"] = "close"  # the server will be another one
        self.promised: list[str] = []
        self.erased: list[str] = []
        self._number = 0

    def recording(self) -> bytes:
        """Noise that no other job has."""
        self._number += 1
        return noise(self._number, JOB_S)

    def submit(self, audio: bytes | Iterator[bytes], key: str = "", **options: str) -> str:
        """One upload, promised."""
        headers = {"Idempotency-Key": key} if key else {}
        answer = self.client.http.post("/v1/transcriptions", content=audio, params=options, headers=headers)
        assert answer.status_code == 202, answer.text
        job_id = str(answer.json()["id"])
        self.promised.append(job_id)
        return job_id

    def count(self, query: bytes) -> int:
        """The one number that a query gives."""
        with psycopg.connect(self.pipeline.settings.postgres_dsn) as conn:
            row = conn.execute(query).fetchone()
        return int(row[0]) if row and row[0] else 0

    def batch_tries(self, role: str) -> int:
        """Tries that are committed with the offsets of a role's group."""
        kafka = self.pipeline.settings.kafka
        group = kafka.group(f"speech-{role}")
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        found = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result()
        places = [place for place in found.topic_partitions or [] if place.offset >= 0]
        return sum(sum(decode(place.metadata or "", place.offset).values()) for place in places)


Work = Callable[[Scene], AbstractContextManager[None]]


@contextmanager
def under_load(scene: Scene) -> Iterator[None]:
    """Jobs on their way through every process."""
    for _ in range(JOBS):
        scene.submit(scene.recording(), vocabulary=SLOW)
    until(lambda: scene.count(OPEN), BUSY_TIMEOUT_S, "a job is open")
    yield


@contextmanager
def half_an_upload(scene: Scene) -> Iterator[None]:
    """A request of which the second half arrives when the process was asked to end; it is answered."""
    audio = scene.recording()
    go_on = threading.Event()

    def body() -> Iterator[bytes]:
        yield audio[: len(audio) // 2]
        go_on.wait(BUSY_TIMEOUT_S)
        yield audio[len(audio) // 2 :]

    promised = len(scene.promised)
    upload = threading.Thread(target=scene.submit, args=(body(), "in hand"))
    upload.start()
    until(lambda: scene.count(CLAIMED), BUSY_TIMEOUT_S, "the request is read, and not only sent")
    threading.Timer(SECOND_HALF_AFTER_S, go_on.set).start()
    yield
    upload.join()
    assert len(scene.promised) == promised + 1, "the request in hand was not answered"


@contextmanager
def an_erasure(scene: Scene) -> Iterator[None]:
    """A finished job that is to be forgotten everywhere."""
    job_id = scene.submit(scene.recording())
    assert scene.client.ended(job_id, BUSY_TIMEOUT_S)["status"] == "completed"
    assert scene.client.http.delete(f"/v1/transcriptions/{job_id}").is_success
    scene.promised.remove(job_id)
    scene.erased.append(job_id)
    yield


def no_room_for(minutes: int) -> Work:
    """An upload of so many minutes that was begun and waits for room for its file, which does not come in time."""

    @contextmanager
    def work(scene: Scene) -> Iterator[None]:
        settings = scene.pipeline.settings
        quota_bytes = settings.limits.temp_quota_bytes
        with ExitStack() as room:
            with suppress(Unavailable):  # another chunker's room is taken already
                room.enter_context(Room(settings.temp_dir, quota_bytes).reserve(quota_bytes))
            before = scene.count(BEGUN)
            scene.submit(long_recording(minutes))
            until(lambda: scene.count(BEGUN) > before, BUSY_TIMEOUT_S, "the upload is begun")
            yield

    return work


def running_batch(role: str) -> Work:
    """A batch that the model works at."""

    @contextmanager
    def work(scene: Scene) -> Iterator[None]:
        with under_load(scene):
            until(lambda: scene.batch_tries(role), BUSY_TIMEOUT_S, f"a batch of {role} runs")
            yield

    return work


# How a process is caught in the middle of its work; one that is not named is under load.
WORK: Mapping[str, Work] = {
    "api": half_an_upload,
    "effects": an_erasure,
    "chunker": no_room_for(1),
    "chunker-long": no_room_for(LONG_UPLOAD_BYTES // MINUTE_BYTES + 1),
    "speech-asr": running_batch("asr"),
    "speech-diarization": running_batch("diarization"),
}
# Where begun tries are counted, for those that count them.
TRIES: Mapping[str, Callable[[Scene], int]] = {
    "chunker": lambda scene: scene.count(BEGUN),
    "chunker-long": lambda scene: scene.count(BEGUN),
    "speech-asr": lambda scene: scene.batch_tries("asr"),
    "speech-diarization": lambda scene: scene.batch_tries("diarization"),
    "assembler": lambda scene: scene.count(IN_HAND),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """How a process ended: no status where it did not in time; how many tries it left counted."""

    status: int | None
    took_s: float
    tries: int
    log: str


def drain(scene: Scene, names: tuple[str, ...]) -> dict[str, Drain]:
    """Asks processes to end in the middle of their work, and starts their successors."""
    processes = scene.pipeline.processes
    ends = {}
    with ExitStack() as work:
        for name in names:
            work.enter_context(WORK.get(name, under_load)(scene))
        begun_s = time.monotonic()
        processes.signal(signal.SIGTERM, *names)  # to its children as well, as the supervisor does
        for name in names:
            status = processes.end(name, begun_s + PROCESSES[name].stop_wait_s - time.monotonic())
            ends[name] = (status, time.monotonic() - begun_s)
        tries = {name: TRIES[name](scene) for name in names if name in TRIES}
    found = {
        name: Drain(status=status, took_s=took_s, tries=tries.get(name, 0), log=processes.log_tail(name))
        for name, (status, took_s) in ends.items()
    }
    processes.start(*names)
    processes.wait_ready(*names)
    return found


@pytest.fixture(scope="module")
def scene(module_workspace: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    temp_dir: Path = tmp_path_factory.mktemp("temporary")
    settings = {
        **module_workspace,
        **STUB_ENGINES,
        "PALIMPSEST_TEMP_DIR": str(temp_dir),
        # Slow chunks are no hanging ones, whatever else the machine does.
        "PALIMPSEST_BATCH_FLOOR_S": "60",
    }
    with running_pipeline(settings, tmp_path_factory.mktemp("logs")) as pipeline:
        yield Scene(pipeline)


@pytest.fixture(scope="module")
def drains(scene: Scene) -> dict[str, Drain]:
    """Every process asked to end once, in the order of `down`."""
    found: dict[str, Drain] = {}
    for names in STOP_ORDER:
        found |= drain(scene, names)
    for name, end in found.items():
        print(f"{name:<20} status {end.status} after {end.took_s:5.1f} s, {end.tries} tries left")
    return found


@pytest.mark.parametrize("name", PROCESSES)
def test_it_ends_in_time_and_blames_nobody(drains: Mapping[str, Drain], name: str) -> None:
    assert (drains[name].status, drains[name].tries) == (0, 0), drains[name].log


def test_successors_lose_and_double_nothing(scene: Scene, drains: Mapping[str, Drain]) -> None:
    jobs: list[Json] = [scene.client.ended(job_id, END_TIMEOUT_S) for job_id in scene.promised]
    assert all(job["status"] == "completed" and job["gaps"] == [] for job in jobs), jobs
    assert [*read_topic(scene.pipeline.settings.kafka, DEAD_LETTERS)] == []
    repeated = {name: scene.pipeline.processes.metric(name, "palimpsest_repeated_tries_total") for name in drains}
    assert set(repeated.values()) == {0}, repeated
    history = History(scene.pipeline.settings)
    assert [line for line in history.violations if not line.startswith(tuple(scene.erased))] == []
    assert {job_id for job_id in history.facts if history.status(job_id) == "completed"} >= set(scene.promised)
    assert set(history.facts) == {*scene.promised, *scene.erased}


def test_what_was_being_forgotten_is_forgotten(scene: Scene, drains: Mapping[str, Drain]) -> None:
    store = ObjectStore(scene.pipeline.settings.objects)

    def left() -> list[str]:
        return [key for job_id in scene.erased for key in store.keys(f"{TENANT}/{job_id}/")]

    until(lambda: not left(), END_TIMEOUT_S, "its objects go")
