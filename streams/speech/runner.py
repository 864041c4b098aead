"""The one batch at a time that the model has, and the model's comings and goings.

In: batches. Out: what became of each: finished, or died with a cause. Keeps the time limits that `pace` sets, starts a
fresh process after each death. Knows no Kafka.
"""

import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from runtime import telemetry
from runtime.telemetry import logger
from schemas.values import Task
from streams.speech import answers
from streams.speech.backlog import Held, samples
from streams.speech.engines.protocol import ModelInfo
from streams.speech.messages import Batch, Chunk, Done, Loaded
from streams.speech.model import ChildDied, Model
from streams.speech.pace import Pace

LOAD_LIMIT_S = 900.0
# A loop that did not look for so long was stopped itself; the batch may have been, too.
LOOP_GAP_S = 1.0
# After so many batches in a row that met a shortage of memory a fresh process takes over, whose memory is in one piece.
SHORT_BATCHES = 3

log = logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Finished:
    """The model answered a batch."""

    chunks: tuple[Held, ...]
    done: Done
    info: ModelInfo


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Died:
    """The model's process ended with a batch; `cause` is the code its chunks fail with in the end."""

    chunks: tuple[Held, ...]
    cause: str
    how: str


@dataclass(slots=True, kw_only=True, eq=False)
class _Running:
    chunks: tuple[Held, ...]
    future: Future[Done]
    deadline: float
    limit_s: float
    cause: str = answers.ENGINE_CRASHED


class Runner:
    """Runs batches on a `Model`. Every method is called from the main thread."""

    def __init__(self, task: Task, model: Model, pace: Pace) -> None:
        self._task = task
        self._model = model
        self._pace = pace
        self._looked_at = 0.0
        self._loading: Future[Loaded] | None = None
        self._load_deadline = 0.0
        self._info: ModelInfo | None = None
        self._running: _Running | None = None
        self._short_batches = 0

    @property
    def running(self) -> tuple[Held, ...]:
        """The chunks the model has now."""
        return self._running.chunks if self._running is not None else ()

    def load(self) -> None:
        """Starts a fresh process; nothing runs before `ready` said that its model is loaded."""
        self._info, self._short_batches = None, 0
        self._loading = self._model.start()
        self._load_deadline = time.monotonic() + LOAD_LIMIT_S

    @property
    def unloaded(self) -> bool:
        """Whether no process has, or gets, a model."""
        return self._info is None and self._loading is None

    def unload(self) -> None:
        """Ends the idle process, and with it what the model holds; `load` brings it back."""
        self._model.close()
        self._info = None
        log.info("the model is unloaded", action="model.unloaded")

    def ready(self) -> ModelInfo | None:
        """The loaded model; raises EngineUnavailable or ChildDied when it cannot be loaded."""
        if self._loading is not None and self._loading.done():
            self._adopt(self._loading.result())
        elif self._loading is not None and time.monotonic() > self._load_deadline:
            raise ChildDied(f"the model was not loaded after {LOAD_LIMIT_S:.0f} s")
        return self._info

    def run(self, batch: Sequence[Held]) -> None:
        """Hands the batch over; the model must be ready and idle."""
        limit_s = self._pace.limit_s(_audio_s(batch), min(chunk.tries - 1 for chunk in batch))
        self._looked_at = time.monotonic()
        self._running = _Running(
            chunks=tuple(batch),
            future=self._model.run(Batch(chunks=tuple(_on_pipe(chunk) for chunk in batch))),
            deadline=self._looked_at + limit_s,
            limit_s=limit_s,
        )

    def outcome(self) -> Finished | Died | None:
        """What became of the running batch, once; None while it runs or when there is none."""
        running = self._running
        if running is None:
            return None
        if not running.future.done():
            self._watch(running)
            return None
        self._running = None
        try:
            done = running.future.result()
        except ChildDied as error:
            telemetry.child_restarts.labels(running.cause).inc()
            self.load()
            return Died(chunks=running.chunks, cause=running.cause, how=_how(running, error))
        if self._info is None:
            raise RuntimeError("a batch was answered by no model")
        self._pace.ended(_audio_s(running.chunks), done.elapsed_ms / 1000)
        self._model.keep_spare()
        finished = Finished(chunks=running.chunks, done=done, info=self._info)
        self._count_shortages(done)
        return finished

    def give_up(self) -> tuple[Held, ...]:
        """Ends the running batch and its process; its chunks."""
        chunks, self._running = self.running, None
        self._model.kill()
        return chunks

    def close(self) -> None:
        """Ends the process."""
        self._model.close()

    def _watch(self, running: _Running) -> None:
        """Ends a batch that takes too long; time in which this process itself stood still does not count."""
        now = time.monotonic()
        gap_s, self._looked_at = now - self._looked_at, now
        if gap_s > LOOP_GAP_S:
            running.deadline += gap_s
        if now > running.deadline and running.cause != answers.ENGINE_TIMEOUT:
            running.cause = answers.ENGINE_TIMEOUT
            self._model.kill()

    def _count_shortages(self, done: Done) -> None:
        self._short_batches = self._short_batches + 1 if done.shortages else 0
        if done.shortages:
            telemetry.out_of_memory.labels(self._task).inc(done.shortages)
            log.warning("the device's memory did not suffice", action="model.short", times=done.shortages)
        if self._short_batches >= SHORT_BATCHES:
            telemetry.child_restarts.labels("out_of_memory").inc()
            self.load()

    def _adopt(self, loaded: Loaded) -> None:
        self._loading = None
        self._info = loaded.info
        telemetry.model_load_seconds.labels(self._task).set(loaded.seconds)
        log.info(
            "the model is loaded",
            action="model.loaded",
            pid=self._model.pid,
            seconds=round(loaded.seconds, 2),
            model=loaded.info.model,
            device=loaded.info.device,
            compute_type=loaded.info.compute_type,
        )


def _audio_s(chunks: Sequence[Held]) -> float:
    return sum(chunk.cut.end_ms - chunk.cut.start_ms for chunk in chunks) / 1000


def _how(running: _Running, error: ChildDied) -> str:
    return f"ended after {running.limit_s:.1f} s" if running.cause == answers.ENGINE_TIMEOUT else str(error)


def _on_pipe(chunk: Held) -> Chunk:
    audio, cut = samples(chunk), chunk.cut
    if audio is None:
        raise RuntimeError("a chunk without audio was chosen")
    return Chunk(
        pcm=audio.pcm,
        object_start_ms=cut.object_start_ms,
        start_ms=cut.start_ms,
        end_ms=cut.end_ms,
        options=cut.options,
        round=cut.round,
    )
