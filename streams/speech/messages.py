"""What a speech worker and its model's process say to each other.

In and out: frozen records, pickled on a pipe between two processes of the same version.
They live in a module of their own, because what the child's main module defines has another name on the other side.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.settings import Speech
from schemas.values import Task, TranscriptionOptions
from streams.speech.engines.protocol import ChunkError, ModelInfo, Transcription


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What to load."""

    task: Task
    speech: Speech
    log_level: str
    parent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The model is there."""

    info: ModelInfo
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Unloadable:
    """The engine cannot run as asked."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chunk:
    """A chunk on the pipe: 16-bit samples, half of what the engine is given."""

    pcm: NDArray[np.int16]
    object_start_ms: int
    start_ms: int
    end_ms: int
    options: TranscriptionOptions
    round: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Chunks to run together."""

    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Speaker evidence of one chunk, as the bytes of its object."""

    data: bytes
    speech_ms: int


Outcome = Transcription | Evidence | ChunkError


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """One outcome per chunk, in order; `shortages` counts how often the device's memory did not suffice meanwhile."""

    outcomes: tuple[Outcome, ...]
    elapsed_ms: int
    shortages: int = 0
