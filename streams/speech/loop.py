"""The loop of a speech worker: chunks in, one answer each out.

In: records of the chunk lanes. Out: ChunkTranscribed, ChunkDiarized or ChunkFailed on `transcriptions`.
The loop owns the consumer and never stops polling; the model runs in a child. A batch starts only when its tries are
committed, and is committed only when its answers are with the broker: so a kill at any moment loses nothing, and no
chunk can take the worker down for ever. Knows no engine.
"""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from runtime import telemetry
from runtime.errors import Unavailable
from runtime.health import Health
from runtime.kafka import Incoming
from runtime.telemetry import logger
from schemas.codec import Codec, UndecodableRecord
from schemas.records import ChunkCut
from schemas.values import Task
from streams.speech import answers
from streams.speech.answers import Failure
from streams.speech.audio import AudioFetcher, Damaged, Missing, StoreAway
from streams.speech.backlog import Backlog, Held
from streams.speech.engines.protocol import ModelInfo
from streams.speech.intake import Intake
from streams.speech.offsets import Place, Position
from streams.speech.publish import Publisher, Tried
from streams.speech.runner import Died, Finished, Runner
from streams.speech.watchdog import Watchdog

IDLE_POLL_S = 0.05
BUSY_WAIT_S = 0.02
WATCH_PERIOD_S = 1.0
# What a running batch gets to finish after SIGTERM.
GRACE_S = 20.0

log = logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a worker is made of; `wake` is set by other threads when something is done.

    After `model_idle_s` without work the model is unloaded; below nought never.
    """

    task: Task
    max_tries: int
    model_idle_s: int
    codec: Codec
    intake: Intake
    runner: Runner
    audio: AudioFetcher
    backlog: Backlog
    publisher: Publisher
    health: Health
    wake: threading.Event


class Worker:
    """One role's loop. `run` returns when `stop` is set and raises when the process must be restarted."""

    def __init__(self, parts: Parts, stop: threading.Event) -> None:
        self._parts = parts
        self._intake = parts.intake
        self._runner = parts.runner
        self._backlog = parts.backlog
        self._publisher = parts.publisher
        self._stop = stop
        self._watchdog = Watchdog()
        self._give_up_at: float | None = None
        self._watched_at = 0.0
        self._closing = False
        self._worked_at = time.monotonic()

    def run(self) -> None:
        """Loads the model, joins the group, works until `stop`, then finishes the running batch."""
        self._watchdog.start()
        try:
            self._runner.load()
            self._await_model()
            while not self._stop.is_set():
                self._turn()
            self._finish_running()
            self._publish()
        except StoreAway:
            self._give_back()
            raise
        finally:
            self._closing = True
            self._intake.close()
            self._parts.audio.close()
            self._runner.close()
            self._watchdog.close()

    def let_go(self, places: frozenset[Place], lost: bool) -> None:
        """Another member gets these partitions: a batch that runs with chunks of theirs is finished first."""
        if self._closing:
            return
        if not lost and any(chunk.position.place in places for chunk in self._runner.running):
            self._finish_running()
        self._backlog.drop(places)
        if not lost:
            self._publish()

    def _await_model(self) -> None:
        while not self._stop.is_set():
            self._watchdog.beat()
            if info := self._runner.ready():
                self._show(info)
                self._intake.subscribe(self)
                return
            self._pause()

    def _turn(self) -> None:
        self._watchdog.beat()
        busy = bool(self._runner.running or len(self._backlog))
        if busy:
            self._pause()
        records = self._intake.poll(0 if busy else IDLE_POLL_S)
        self._hold([held for record in records if (held := self._received(record))])
        self._answer_unplayable()
        self._settle()
        idle = self._runner.ready() is not None and not self._runner.running
        self._start(self._backlog.next_batch() if idle else [])
        self._rest()
        self._watch()

    def _rest(self) -> None:
        """Lets the model go when there was no work for long, and has it back as soon as there is some."""
        now = time.monotonic()
        if self._runner.running or len(self._backlog):
            self._worked_at = now
            if self._runner.unloaded:
                self._runner.load()
        elif 0 <= self._parts.model_idle_s <= now - self._worked_at and self._runner.ready() is not None:
            self._runner.unload()

    def _pause(self) -> None:
        self._parts.wake.wait(BUSY_WAIT_S)
        self._parts.wake.clear()

    def _received(self, record: Incoming) -> Held | None:
        """The chunk in a record, if it is work for us; what is not is dealt with here."""
        position = Position(record.topic, record.partition, record.offset)
        tries = self._intake.tries(position)
        try:
            cut = self._parts.codec.decode(record.value or b"")
            if not isinstance(cut, ChunkCut):
                raise UndecodableRecord(f"{type(cut).__name__} does not belong here")
        except UndecodableRecord as error:
            self._publisher.dead_letter(record, answers.UNDECODABLE, str(error), tries)
            self._publisher.unreadable(record, tries)
            self._intake.answered(position)
            return None
        if self._parts.task not in cut.tasks:
            self._intake.answered(position)
            return None
        return Held(incoming=record, position=position, cut=cut, tries=tries)

    def _hold(self, chunks: Sequence[Held]) -> None:
        """These wait for the model, apart from those that were tried too often: they are answered and put aside."""
        tired = [chunk for chunk in chunks if chunk.tries >= self._parts.max_tries]
        for chunk in tired:
            failure = answers.failure(chunk.suspicion or answers.ENGINE_CRASHED, chunk.tries)
            self._publisher.dead_letter(chunk.incoming, failure.code, failure.message, failure.tries)
            self._fail(chunk, failure)
        self._backlog.add([chunk for chunk in chunks if chunk not in tired])

    def _answer_unplayable(self) -> None:
        """Answers for audio that is not there or not what was stored; no model needs to see it."""
        for chunk in self._backlog.arrived():
            if code := _unplayable(chunk):
                self._backlog.remove(chunk.position)
                self._fail(chunk, answers.failure(code, chunk.tries))

    def _fail(self, chunk: Held, failure: Failure) -> None:
        self._publisher.failed(chunk.cut, failure, chunk.incoming.redrives)
        self._intake.answered(chunk.position)

    def _settle(self) -> None:
        """Takes what became of the running batch, once it is known."""
        match self._runner.outcome():
            case Finished() as finished:
                self._answer(finished)
            case Died() as died:
                self._suspect(died)

    def _answer(self, finished: Finished) -> None:
        """Queues the answers for the chunks whose partitions are still ours."""
        pairs = zip(finished.chunks, finished.done.outcomes, strict=True)
        ours = [(chunk, outcome) for chunk, outcome in pairs if self._intake.owns(chunk.position.place)]
        made_by = answers.model_run(finished.info, len(finished.chunks), finished.done.elapsed_ms)
        tried = [Tried(cut=chunk.cut, tries=chunk.tries, redrives=chunk.incoming.redrives) for chunk, _ in ours]
        try:
            self._publisher.results(tried, [outcome for _, outcome in ours], made_by)
        except StoreAway:
            self._intake.untried([chunk.position for chunk, _ in ours])
            raise
        for chunk, _ in ours:
            self._intake.answered(chunk.position)
        self._count(finished)

    def _count(self, finished: Finished) -> None:
        task, elapsed_ms = self._parts.task, finished.done.elapsed_ms
        audio_ms = sum(chunk.cut.end_ms - chunk.cut.start_ms for chunk in finished.chunks)
        telemetry.audio_seconds.labels(task).inc(audio_ms / 1000)
        telemetry.batch_seconds.labels(f"speech-{task}").observe(elapsed_ms / 1000)
        self._parts.health.moved()
        log.info(
            "a batch is done",
            action="batch.done",
            chunks=len(finished.chunks),
            elapsed_ms=elapsed_ms,
            audio_ms=audio_ms,
            job_ids=_job_ids(finished.chunks),
        )

    def _suspect(self, died: Died) -> None:
        """Each chunk of a batch that took the model down is suspected, and runs alone from now on."""
        log.error(
            "the model's process died with a batch",
            action="child.died",
            cause=died.cause,
            how=died.how,
            job_ids=_job_ids(died.chunks),
        )
        for chunk in died.chunks:
            chunk.suspicion = died.cause
        self._hold([chunk for chunk in died.chunks if self._intake.owns(chunk.position.place)])

    def _start(self, batch: Sequence[Held]) -> None:
        """Commits what is answered and the tries of the next batch in one go, then hands the batch over."""
        positions = [chunk.position for chunk in batch]
        self._intake.tried(positions)
        if not self._publish():
            self._intake.untried(positions)
        elif batch:
            self._backlog.take(batch)
            for chunk in batch:
                if chunk.tries:
                    telemetry.repeated_tries.labels(f"speech-{self._parts.task}").inc()
                chunk.tries += 1
            self._runner.run(batch)

    def _publish(self) -> bool:
        """Sends what is queued, then commits what is answered; False when the commit must be tried again."""
        self._publisher.flush()
        return self._intake.commit()

    def _finish_running(self) -> None:
        """Waits for the running batch; after SIGTERM only for a while, then it is given up and its tries taken back."""
        while self._runner.running:
            self._watchdog.beat()
            self._settle()
            if self._runner.running and self._grace_is_over():
                self._give_up()
            elif self._runner.running:
                self._pause()

    def _give_up(self) -> None:
        """Ends the running batch; its chunks are as if they had not been tried."""
        given_up = self._runner.give_up()
        self._intake.untried([chunk.position for chunk in given_up])
        log.warning("a batch was given up", action="batch.given_up", job_ids=_job_ids(given_up))

    def _give_back(self) -> None:
        """Commits without the tries of the batch in hand: an outage of the store is no chunk's fault.

        They stay where Kafka, which keeps them, is away too.
        """
        self._watchdog.beat()
        if self._runner.running:
            self._give_up()
        with suppress(Unavailable):
            self._publish()

    def _grace_is_over(self) -> bool:
        if not self._stop.is_set():
            return False
        if self._give_up_at is None:
            self._give_up_at = time.monotonic() + GRACE_S
        return time.monotonic() > self._give_up_at

    def _show(self, info: ModelInfo) -> None:
        self._parts.health.detail(
            role=self._parts.task.value,
            engine=info.engine,
            model=info.model,
            device=info.device,
            compute_type=info.compute_type,
        )
        self._parts.health.ready()

    def _watch(self) -> None:
        if time.monotonic() - self._watched_at >= WATCH_PERIOD_S:
            self._watched_at = time.monotonic()
            self._parts.health.broker(self._intake.broker_answers())
            self._parts.health.lag(self._intake.lag())
            self._parts.health.detail(model_loaded=self._runner.ready() is not None)


def _unplayable(chunk: Held) -> str:
    """What is wrong with the chunk's audio, as a failure's code; raises StoreAway."""
    match chunk.audio.result() if chunk.audio else None:
        case Missing(withheld=withheld):
            return answers.OBJECT_WITHHELD if withheld else answers.OBJECT_MISSING
        case Damaged(why=why):
            log.warning("a chunk's audio is damaged", action="audio.damaged", job_id=chunk.cut.job_id, why=why)
            return answers.OBJECT_DAMAGED
    return ""


def _job_ids(chunks: Sequence[Held]) -> list[str]:
    return sorted({chunk.cut.job_id for chunk in chunks})
