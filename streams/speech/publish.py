"""Answers and dead letters on their way out.

In: what became of a chunk. Out: records on `transcriptions` and `dead-letters`, speaker evidence in the object store
before the record that points at it. Nothing counts as sent before `flush` returned.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runtime import telemetry
from runtime.faults import crash_point
from runtime.kafka import EventProducer, Incoming, dead_letter, outgoing, redriven
from runtime.settings import Kafka
from runtime.telemetry import logger
from schemas.codec import Codec, RecordTooLarge
from schemas.identity import chunk_of
from schemas.records import ChunkCut, ChunkFailed, TranscriptionRecord
from schemas.topics import TRANSCRIPTIONS
from schemas.values import ModelRun, StoredObject, Task
from streams.speech import answers
from streams.speech.answers import Failure, Moment
from streams.speech.audio import AudioFetcher
from streams.speech.engines.protocol import ChunkError, Transcription
from streams.speech.messages import Evidence, Outcome

RESULT_TOO_LARGE = ChunkError(
    code="result_too_large", message="The result for this part is too large.", retryable=False
)

log = logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A chunk that the model answered, and at which try."""

    cut: ChunkCut
    tries: int
    redrives: int = 0


class Publisher:
    """The one way out of a speech worker."""

    def __init__(
        self, task: Task, kafka: Kafka, codec: Codec, store: AudioFetcher, clock: Callable[[], float] = time.time
    ) -> None:
        self._task = task
        self._partitions = kafka.partitions
        self._group = kafka.group(f"speech-{task}")
        self._codec = codec
        self._store = store
        self._clock = clock
        self._producer = EventProducer(kafka)
        self._source = f"speech-{task}"
        self._queued = False

    def results(self, tried: Sequence[Tried], outcomes: Sequence[Outcome], made_by: ModelRun) -> None:
        """Queues the answers of one batch, its evidence stored; raises StoreAway and queues none if it cannot be."""
        stored = self._keep([chunk.cut for chunk in tried], outcomes)
        for chunk, outcome, evidence in zip(tried, outcomes, stored, strict=True):
            self._result(chunk, outcome, evidence, made_by)

    def failed(self, cut: ChunkCut, failure: Failure, redrives: int = 0) -> None:
        """Queues the answer of a chunk that has no result."""
        log.warning(
            "a chunk failed",
            action="chunk.failed",
            job_id=cut.job_id,
            index=cut.index,
            code=failure.code,
            tries=failure.tries,
        )
        self._send(answers.failed(cut, self._task, failure, self._moment()), redrives)

    def unreadable(self, incoming: Incoming, tries: int) -> None:
        """Queues the answer of work that cannot be read, if its key names a chunk."""
        chunk = chunk_of(incoming.key or b"")
        if chunk is None:
            return
        place = f"{incoming.topic}/{incoming.partition}/{incoming.offset}"
        known = (value.decode(errors="replace") for name, value in incoming.headers if name == "ce_id")
        record = answers.unreadable(chunk, next(known, place), self._task, tries, self._moment())
        self._send(record, incoming.redrives)

    def dead_letter(self, incoming: Incoming, cause: str, message: str, tries: int) -> None:
        """Queues the record as it came, with why it can never be processed."""
        telemetry.dead_letters.labels(cause).inc()
        log.error(
            "a record was put on the dead-letter topic",
            action="dead_letter",
            cause=cause,
            why=message,
            topic=incoming.topic,
            partition=incoming.partition,
            offset=incoming.offset,
        )
        with crash_point("dead_letter.produce"):
            self._producer.send(dead_letter(incoming, self._group, cause, message, tries))
        self._queued = True

    def flush(self) -> None:
        """Returns when the broker has all that was queued; raises Unavailable."""
        if self._queued:
            with crash_point("answers.flush"):
                self._producer.flush()
            self._queued = False

    def _keep(self, cuts: Sequence[ChunkCut], outcomes: Sequence[Outcome]) -> list[StoredObject | None]:
        """Stores evidence side by side; in place of other outcomes there is None."""
        objects = [
            answers.evidence_object(cut, outcome.data) if isinstance(outcome, Evidence) else None
            for cut, outcome in zip(cuts, outcomes, strict=True)
        ]
        writes = [
            self._store.keep(obj.key, outcome.data)
            for obj, outcome in zip(objects, outcomes, strict=True)
            if obj is not None and isinstance(outcome, Evidence)
        ]
        for write in writes:
            write.result()
        return objects

    def _result(self, chunk: Tried, outcome: Outcome, evidence: StoredObject | None, made_by: ModelRun) -> None:
        match outcome:
            case Transcription():
                try:
                    self._send(answers.transcribed(chunk.cut, outcome, made_by, self._moment()), chunk.redrives)
                except RecordTooLarge:
                    self._chunk_error(chunk, RESULT_TOO_LARGE)
            case Evidence() if evidence is not None:
                found = answers.diarized(chunk.cut, evidence, outcome.speech_ms, made_by, self._moment())
                self._send(found, chunk.redrives)
            case ChunkError():
                self._chunk_error(chunk, outcome)
            case _:
                raise ValueError("evidence that was not stored cannot be answered with")

    def _chunk_error(self, chunk: Tried, error: ChunkError) -> None:
        failure = Failure(code=error.code, message=error.message, retryable=error.retryable, tries=chunk.tries)
        self.failed(chunk.cut, failure, chunk.redrives)

    def _send(self, record: TranscriptionRecord, redrives: int) -> None:
        out = outgoing(record, TRANSCRIPTIONS, self._codec, self._partitions, self._source)
        with crash_point("answer.produce"):
            self._producer.send(redriven(out, redrives))
        self._queued = True
        outcome = "failed" if isinstance(record, ChunkFailed) else "done"
        telemetry.chunks_answered.labels(self._task, outcome).inc()

    def _moment(self) -> Moment:
        return Moment(actor=self._source, occurred_at=int(self._clock() * 1000))
