"""The child process that assembles: evidence and words in, segments out; a crash here costs one try, not the worker.

In: tasks over a pipe. Out: for each task what it made, that it failed for good, or that a store was away.
It reads results from the database and evidence from the object store itself, so that the parent never stops polling.
"""

import signal
import time
from collections.abc import Sequence
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


Outcome = Made | Hopeless | NotNow


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
                pipe.send(bench.run(task))
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

    def run(self, task: AssemblyTask) -> Outcome:
        """Assembles one round of one job."""
        started = time.monotonic()
        try:
            with connection(self._dsn, autocommit=True) as conn:
                material = self._material(conn, task)
            with crash_point("assembly.run"):
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

    def _material(self, conn: Connection, task: AssemblyTask) -> Material:
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
        evidence = self._evidence(task.evidence, [r for r in decoded if isinstance(r, records.ChunkDiarized)])
        return Material(transcribed=words, evidence=evidence, lost=len(task.evidence) - len(evidence))

    def _evidence(self, wanted: Sequence[Wanted], diarized: Sequence[records.ChunkDiarized]) -> list[ChunkEvidence]:
        place = {_key(item): item for item in wanted}
        fetched = self._threads.map(lambda record: self._fetch(record, place[_key(record)]), diarized)
        return [item for item in fetched if item is not None]

    def _fetch(self, record: records.ChunkDiarized, wanted: Wanted) -> ChunkEvidence | None:
        try:
            with crash_point("evidence.get"):
                data = self._objects.get(record.evidence.key)
            evidence = unpack(data)
        except (ObjectMissing, UnreadableEvidence) as error:
            log.warning("speaker evidence is lost", action="assembly.evidence_lost", index=record.index, why=str(error))
            return None
        return ChunkEvidence(start_ms=wanted.start_ms, end_ms=wanted.end_ms, evidence=evidence)


def _key(item: Wanted | records.ChunkDiarized) -> Key:
    return item.index, item.round, item.chunk_sha256
