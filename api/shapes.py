"""What crosses HTTP: requests and answers, each as one frozen type.

Times inside audio are seconds, points in time RFC 3339; every key is always present, with null where there is nothing.
Knows no view and no record; `rendering` fills these.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

MAX_SEGMENT_CHARS = 10_000
MAX_NOTE_CHARS = 1_000
MAX_SPEAKER_NAME_CHARS = 100
MAX_COMMENT_CHARS = 5_000
MAX_ID_CHARS = 64

Status = Literal["queued", "processing", "completed", "failed", "cancelled"]
Stage = Literal["uploaded", "preparing", "transcribing", "assembling", "done"]
# No database can hold a character of zero.
STORABLE = r"^[^\u0000]*$"
SpeakerId = Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARS, pattern=STORABLE)]


class Options(msgspec.Struct, frozen=True):
    """What was asked for, as it was frozen at submission."""

    language: str | None
    diarize: bool
    num_speakers: int | None
    min_speakers: int | None
    max_speakers: int | None
    vocabulary: tuple[str, ...]
    languages: tuple[str, ...]
    task: Literal["transcribe", "translate"]
    prompt: str | None
    quality: Literal["draft", "balanced", "accurate"]


class Warning(msgspec.Struct, frozen=True):
    """Something the reader of a transcript should know."""

    code: str
    message: str


class Failure(msgspec.Struct, frozen=True):
    """Why a job ended without a transcript."""

    code: str
    stage: str
    retryable: bool
    message: str


class Gap(msgspec.Struct, frozen=True):
    """A span without text, in seconds."""

    start: float
    end: float
    code: str


class Speaker(msgspec.Struct, frozen=True):
    """A speaker of one recording."""

    id: str
    label: str
    name: str | None
    speech_seconds: float


class Chunks(msgspec.Struct, frozen=True):
    """Work done of work planned; `planned` is null until the audio is cut."""

    planned: int | None
    completed: int


class Links(msgspec.Struct, frozen=True):
    """Addresses around a job."""

    self: str
    transcript: str
    segments: str
    events: str


class Job(msgspec.Struct, frozen=True):
    """A transcription and how far it is."""

    id: str
    status: Status
    stage: Stage
    progress: float
    eta_seconds: float | None
    file_name: str | None
    media_type: str | None
    sha256: str
    size_bytes: int
    duration_seconds: float | None
    language: str | None
    options: Options
    lane: str
    warnings: tuple[Warning, ...]
    failure: Failure | None
    gaps: tuple[Gap, ...]
    speakers: tuple[Speaker, ...]
    segment_count: int
    word_count: int
    partial_text: str | None
    chunks: Chunks
    created_at: str
    updated_at: str
    version: int
    origin_job_id: str | None
    audio_deleted_at: str | None
    links: Links


class JobPage(msgspec.Struct, frozen=True):
    """Jobs, newest first."""

    items: tuple[Job, ...]
    next_cursor: str | None


class Word(msgspec.Struct, frozen=True):
    """One word with its place in the recording."""

    index: int
    text: str
    start: float | None
    end: float | None
    confidence: float | None
    speaker_id: str | None
    timing: str


class Segment(msgspec.Struct, frozen=True):
    """A run of words by one speaker. `revision` is its ETag."""

    id: str
    revision: int
    start: float
    end: float
    text: str
    speaker_id: str | None
    speaker: str | None
    language: str | None
    confidence: float | None
    words: tuple[Word, ...]
    flags: tuple[str, ...]


class SegmentPage(msgspec.Struct, frozen=True):
    """Segments in the order of the recording."""

    items: tuple[Segment, ...]
    next_cursor: str | None


class SearchHit(msgspec.Struct, frozen=True):
    """A segment that matches; `highlight` is escaped HTML with `<mark>`, `moment` is when the first mark is said."""

    job_id: str
    file_name: str | None
    segment_id: str
    start: float
    end: float
    moment: float
    speaker_id: str | None
    speaker: str | None
    language: str | None
    text: str
    highlight: str


class SearchPage(msgspec.Struct, frozen=True):
    """Hits, best first; beyond 10,000 the total is a lower bound."""

    total: int
    total_is_exact: bool
    items: tuple[SearchHit, ...]
    next_cursor: str | None


class Accepted(msgspec.Struct, frozen=True):
    """The request is in the log and its outcome was not there yet; `status_url` says where it will show."""

    status_url: str
    request_id: str


class SegmentEdit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A correction of one segment; what is left out stays as it is, a null speaker takes the speaker away."""

    text: Annotated[str, Meta(min_length=1, max_length=MAX_SEGMENT_CHARS, pattern=STORABLE)] | UnsetType = UNSET
    speaker_id: SpeakerId | UnsetType | None = UNSET
    note: Annotated[str, Meta(max_length=MAX_NOTE_CHARS, pattern=STORABLE)] | None = None


class SpeakerNaming(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The name to show for a speaker; null takes it away."""

    name: Annotated[str, Meta(min_length=1, max_length=MAX_SPEAKER_NAME_CHARS, pattern=STORABLE)] | None


class SpeakerMerging(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The speaker that stays."""

    into: SpeakerId


class Feedback(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A judgement of the transcript, from 1 (useless) to 5 (perfect)."""

    rating: Annotated[int, Meta(ge=1, le=5)]
    comment: Annotated[str, Meta(max_length=MAX_COMMENT_CHARS, pattern=STORABLE)] | None = None
