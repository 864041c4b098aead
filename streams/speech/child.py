"""The model's process: loads one engine and answers one batch after the other until its parent is gone.

In, over the pipe: `Start`, then `Batch`es. Out: `Loaded` or `Unloadable`, then one `Done` a batch.
A process of its own, so that a crash of the model's native code or an out-of-memory kill costs one batch and not
the worker's place in its group. An exception of the engine ends it: the parent starts a clean one.
Knows no Kafka and no object store.
"""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection

import numpy as np

from runtime import faults, telemetry
from runtime.faults import crash_point
from runtime.settings import Faults
from schemas import evidence
from schemas.values import Task
from streams.speech.engines import asr_engine, diarization_engine
from streams.speech.engines.batching import MEMORY
from streams.speech.engines.protocol import (
    AsrEngine,
    ChunkAudio,
    ChunkError,
    Diarization,
    DiarizationEngine,
    EngineUnavailable,
    Transcription,
)
from streams.speech.messages import Batch, Chunk, Done, Evidence, Loaded, Outcome, Start, Unloadable

_PR_SET_PDEATHSIG = 1
_PCM_SCALE = np.float32(1 / 32768)


def main(arguments: Sequence[str]) -> int:
    """Serves the pipe whose file descriptor is the only argument."""
    # The parent decides when this ends: it finishes or gives up the running batch first.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Connection(int(arguments[0])) as pipe:
        try:
            return _serve(pipe)
        except (EOFError, BrokenPipeError):
            return 0


def _serve(pipe: Connection) -> int:
    start: Start = pipe.recv()
    _die_with(start.parent)
    name = f"speech-{start.task}-model"
    telemetry.configure(name, start.log_level)
    faults.arm(name, Faults.read(os.environ))
    engine: AsrEngine | DiarizationEngine = (
        asr_engine(start.speech) if start.task is Task.ASR else diarization_engine(start.speech)
    )
    began = time.monotonic()
    try:
        with crash_point("model.load", EngineUnavailable):
            info = engine.load()
    except EngineUnavailable as error:
        pipe.send(Unloadable(message=str(error)))
        return 1
    pipe.send(Loaded(info=info, seconds=time.monotonic() - began))
    while True:
        batch: Batch = pipe.recv()
        pipe.send(_run(engine, batch))


def _run(engine: AsrEngine | DiarizationEngine, batch: Batch) -> Done:
    began, short_before = time.monotonic(), MEMORY.shortages
    with crash_point("model.run", RuntimeError):
        outcomes = engine.run([_audio(chunk) for chunk in batch.chunks])
    if len(outcomes) != len(batch.chunks):
        raise RuntimeError(f"{len(outcomes)} outcomes for {len(batch.chunks)} chunks")
    elapsed_ms = round((time.monotonic() - began) * 1000)
    return Done(
        outcomes=tuple(_portable(outcome) for outcome in outcomes),
        elapsed_ms=elapsed_ms,
        shortages=MEMORY.shortages - short_before,
    )


def _audio(chunk: Chunk) -> ChunkAudio:
    return ChunkAudio(
        samples=chunk.pcm * _PCM_SCALE,
        object_start_ms=chunk.object_start_ms,
        start_ms=chunk.start_ms,
        end_ms=chunk.end_ms,
        options=chunk.options,
        round=chunk.round,
    )


def _portable(outcome: Transcription | Diarization | ChunkError) -> Outcome:
    if isinstance(outcome, Diarization):
        return Evidence(data=evidence.pack(outcome.evidence), speech_ms=outcome.speech_ms)
    return outcome


def _die_with(parent: int) -> None:
    """Asks the kernel for SIGKILL when the parent's main thread ends; a long batch would not notice the closed pipe."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the kernel was asked
        os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
