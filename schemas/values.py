"""The values inside events, as frozen Python types.

In: nothing. Out: types that match the nested records of `avro/*.avsc`, where every field is documented.
Knows nothing of topics, of events or of how bytes are written.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

LOW_CONFIDENCE = "low_confidence"  # the flag of words that may well be wrong


class Lane(StrEnum):
    """Which queue of chunks a job's work goes through."""

    INTERACTIVE = "interactive"
    BATCH = "batch"


class Task(StrEnum):
    """A kind of model work on a chunk."""

    ASR = "asr"
    DIARIZATION = "diarization"


class Timing(StrEnum):
    """How a word's times were found: by an aligner, between two aligned neighbours, or not at all."""

    ALIGNED = "aligned"
    INTERPOLATED = "interpolated"
    NONE = "none"


class RequestKind(StrEnum):
    """What a refused request asked for."""

    CANCELLATION = "cancellation"
    RETRY = "retry"
    CORRECTION = "correction"
    SPEAKER_NAME = "speaker_name"
    SPEAKER_MERGE = "speaker_merge"
    FEEDBACK = "feedback"


class Quality(StrEnum):
    """How much work is put into the words of a recording."""

    DRAFT = "draft"
    BALANCED = "balanced"
    ACCURATE = "accurate"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """An object in the object store: the log carries its address, never its bytes."""

    key: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionOptions:
    """What the client asked for, frozen at submission; every later step and every retry uses these."""

    language: str | None = None
    diarize: bool = True
    num_speakers: int | None = None
    min_speakers: int | None = None
    max_speakers: int | None = None
    vocabulary: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    translate: bool = False
    prompt: str | None = None
    quality: Quality = Quality.BALANCED


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaInfo:
    """What the decoder found in the uploaded file."""

    container: str
    codec: str
    sample_rate_hz: int
    channels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedChunk:
    """One chunk of the plan: only results for planned chunks count."""

    index: int
    start_ms: int
    end_ms: int
    object_start_ms: int
    object: StoredObject


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRun:
    """What made a result: engine, model and options. Results are facts and are never computed again on replay."""

    engine: str
    engine_version: str
    model: str
    model_sha256: str
    device: str
    compute_type: str
    batch_size: int
    aligner: str
    options: Mapping[str, str]
    elapsed_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One word with its place in the recording."""

    text: str
    start_ms: int | None = None
    end_ms: int | None = None
    confidence: float | None = None
    speaker_id: str | None = None
    timing: Timing = Timing.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One row of a recogniser's batch: a stretch of speech decoded at once, with the figures that judge it."""

    start_ms: int
    end_ms: int
    text: str
    language: str
    language_probability: float
    avg_logprob: float
    no_speech_probability: float
    compression_ratio: float
    temperature: float
    flags: tuple[str, ...] = ()
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A run of words by one speaker: the unit that is shown, searched and corrected."""

    segment_id: str
    start_ms: int
    end_ms: int
    speaker_id: str | None = None
    language: str | None = None
    text: str
    confidence: float | None = None
    flags: tuple[str, ...] = ()
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseSegment:
    """A segment a correction starts from, as its author saw it."""

    segment_id: str
    revision: int
    segment: Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplacementSegment:
    """One segment of a correction's result; its times come from the words it keeps."""

    text: str
    speaker_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """A speaker told apart within one recording."""

    speaker_id: str
    label: str
    speech_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A span without a result, which a retry can fill."""

    index: int
    start_ms: int
    end_ms: int
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobWarning:
    """Something the reader of a transcript should know."""

    code: str
    message: str
