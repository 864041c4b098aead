"""What a speech engine is: audio of chunks in, words or speaker evidence out.

In: chunks as samples, from any jobs, with the options of each. Out: one outcome per chunk, in order, failures included.
An engine knows no Kafka, no object store and no job. It is loaded and called by one thread of one process;
importing its module must not import its libraries before `load`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from schemas.evidence import SpeakerEvidence
from schemas.values import JobWarning, Passage, TranscriptionOptions

SAMPLE_RATE_HZ = 16_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChunkAudio:
    """A chunk as a model sees it. Times are in the recording; `samples` is float32 mono at 16 kHz with its margins.

    `round` is 0 at first and one more for each retry that a client asked for.
    """

    samples: NDArray[np.float32]
    object_start_ms: int
    start_ms: int
    end_ms: int
    options: TranscriptionOptions
    round: int = 0

    def core(self) -> NDArray[np.float32]:
        """The samples between `start_ms` and `end_ms`."""
        first = (self.start_ms - self.object_start_ms) * SAMPLE_RATE_HZ // 1000
        return self.samples[first : first + (self.end_ms - self.start_ms) * SAMPLE_RATE_HZ // 1000]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcription:
    """Words of one chunk's core; passages in order, times in the recording, inside the core."""

    passages: tuple[Passage, ...]
    language: str | None = None
    language_probability: float | None = None
    warnings: tuple[JobWarning, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Diarization:
    """Speaker evidence of one chunk with its margins; `speech_ms` counts speech in the core."""

    evidence: SpeakerEvidence
    speech_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkError:
    """The model could not do this chunk; others of the batch are not affected."""

    code: str
    message: str
    retryable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What is loaded: it goes into every result, and its key figures onto the health page."""

    engine: str
    engine_version: str
    model: str
    model_sha256: str
    device: str
    compute_type: str
    aligner: str = ""
    options: Mapping[str, str] = field(default_factory=dict)


class AsrEngine(Protocol):
    """Speech to words."""

    def load(self) -> ModelInfo:
        """Loads the model; raises EngineUnavailable with a sentence when it cannot run as asked."""

    def run(self, batch: Sequence[ChunkAudio]) -> list[Transcription | ChunkError]:
        """One outcome per chunk, in order."""


class DiarizationEngine(Protocol):
    """Speech to speaker evidence."""

    def load(self) -> ModelInfo:
        """Loads the models; raises EngineUnavailable with a sentence when they cannot run as asked."""

    def run(self, batch: Sequence[ChunkAudio]) -> list[Diarization | ChunkError]:
        """One outcome per chunk, in order."""


class EngineUnavailable(Exception):
    """The engine cannot run as it was asked to: no model, no device. Never fall back silently."""
