"""The child process that assembles: evidence and words in, segments out; a crash here costs one try, not the worker.

In: tasks over a pipe. Out: for each task that all it needs is there, and then what it made; or that it failed for good,
or that a store was away.
It reads results from the database and evidence from the object store itself, so that the parent never stops polling.
"""

import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe

import structlog

from runtime import faults, telemetry
from runtime.errors import ObjectMissing, Unavailable
from runtime.faults import crash_point
from runtime.objects import SmallObjects
from runtime.postgres import Connection, connection
from runtime.registry import Registry
from runtime.settings import Settings
from schemas import records
from schemas.codec import Codec
from schemas.evidence import UnreadableEvidence, unpack
from schemas.values import Task
from streams.assembler.assembly import AssemblyTask, Material, Wanted, assemble
from streams.assembler.completion import AssemblyFinished
from streams.assembler.speakers import ChunkEvidence
from streams.assembler.store import Store

NAME = "assembler-child"
FETCHES_AT_ONCE = 8

log = telemetry.logger(__name__)
Key = tuple[int, int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """The task is done."""

    finished: AssemblyFinished


@dataclass(frozen=True, slots=True, kw_only=True)
class Hopeless:
    """The task fails however often it is tried."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotNow:
    """A store is away; the task is worth another try."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """All that the task needs is here: what it takes from now on is its own fault and no store's."""


Outcome = Made | Hopeless | NotNow


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What was stored for a task: words, and speaker evidence as it was packed, in the order of the chunks."""

    words: list[records.ChunkTranscribed]
    evidence: deque[tuple[Wanted, bytes]]


class ResultsMissing(Exception):
    """Words that count are not stored any more: without them a transcript would leave out what was said."""


def main(pipe: Pipe, settings: Settings) -> None:
    """Serves tasks until the parent is gone."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # the parent ends us; a signal to the group is meant for it
    telemetry.configure(NAME, settings.log_level)
    faults.arm(NAME, settings.faults)
    bench = Bench(settings)
    try:
        pipe.send(None)
        while True:
            task: AssemblyTask = pipe.recv()
            with structlog.contextvars.bound_contextvars(job_id=task.job_id):
                pipe.send(bench.run(task, lambda: pipe.send(Fetched())))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


class Bench:
    """What a task needs, kept warm."""

    def __init__(self, settings: Settings) -> None:
        self._dsn = settings.postgres_dsn
        self._objects = SmallObjects(settings.objects)
        self._codec = Codec(Registry(settings.registry_url))
        self._store = Store()
        self._threads = ThreadPoolExecutor(FETCHES_AT_ONCE, thread_name_prefix="evidence")

    def run(self, task: AssemblyTask, fetched: Callable[[], None] = lambda: None) -> Outcome:
        """Assembles one round of one job; calls `fetched` in between."""
        started = time.monotonic()
        try:
            with connection(self._dsn, autocommit=True) as conn:
                found = self._fetch_all(conn, task)
            fetched()
            with crash_point("assembly.run"):
                evidence = [*_unpacked(found.evidence)]
                lost = len(task.evidence) - len(evidence)
                material = Material(transcribed=found.words, evidence=evidence, lost=lost)
                finished = assemble(task, material)
        except Unavailable as error:
            return NotNow(message=str(error))
        except ResultsMissing as error:
            log.error("results are gone", action="assembly.results_missing", why=str(error))
            return Hopeless(message="Transcribed parts are no longer stored; submit the recording again.")
        except Exception:  # pure code that fails once fails always
            log.exception("an assembly failed", action="assembly.failed")
            return Hopeless(message="The transcript could not be assembled.")
        log.info(
            "a transcript was assembled",
            action="assembly.done",
            segments=len(finished.segments),
            elapsed_s=round(time.monotonic() - started, 3),
        )
        return Made(finished=finished)

    def _fetch_all(self, conn: Connection, task: AssemblyTask) -> _Found:
        wanted = {(Task.ASR.value, *_key(item)) for item in task.words}
        wanted |= {(Task.DIARIZATION.value, *_key(item)) for item in task.evidence}
        decoded = [
            self._codec.decode(result.record)
            for result in self._store.results(conn, task.job_id)
            if (result.task, result.index, result.round, result.chunk_sha256) in wanted
        ]
        words = sorted((r for r in decoded if isinstance(r, records.ChunkTranscribed)), key=lambda r: r.index)
        if len(words) < len(task.words):
            raise ResultsMissing(f"{len(words)} of {len(task.words)} parts are stored")
        place = {_key(item): item for item in task.evidence}
        diarized = [record for record in decoded if isinstance(record, records.ChunkDiarized)]
        packed = self._threads.map(self._fetch, diarized)
        kept = ((place[_key(record)], data) for record, data in zip(diarized, packed, strict=True) if data is not None)
        return _Found(words=words, evidence=deque(kept))

    def _fetch(self, record: records.ChunkDiarized) -> bytes | None:
        try:
            with crash_point("evidence.get"):
                return self._objects.get(record.evidence.key)
        except ObjectMissing as error:
            _lost(record.index, error)
            return None


def _unpacked(packed: deque[tuple[Wanted, bytes]]) -> Iterator[ChunkEvidence]:
    """The evidence; what was packed is let go meanwhile, so that nothing of a long recording is held twice."""
    while packed:
        wanted, data = packed.popleft()
        try:
            evidence = unpack(data)
        except UnreadableEvidence as error:
            _lost(wanted.index, error)
        else:
            yield ChunkEvidence(start_ms=wanted.start_ms, end_ms=wanted.end_ms, evidence=evidence)


def _lost(index: int, error: Exception) -> None:
    log.warning("speaker evidence is lost", action="assembly.evidence_lost", index=index, why=str(error))


def _key(item: Wanted | records.ChunkDiarized) -> Key:
    return item.index, item.round, item.chunk_sha256
