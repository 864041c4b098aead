"""Every event of the system, as frozen Python types.

In: nothing. Out: one type per `avro/*.avsc` (field documentation lives there; `schemas.drift` holds the two together)
and a closed union per topic family. Knows nothing of topics' names or of how bytes are written.
"""

from dataclasses import dataclass

from schemas.values import (
    BaseSegment,
    Gap,
    JobWarning,
    Lane,
    MediaInfo,
    ModelRun,
    Passage,
    PlannedChunk,
    ReplacementSegment,
    RequestKind,
    Segment,
    Speaker,
    StoredObject,
    Task,
    TranscriptionOptions,
)

UNKNOWN_ROUND = -1  # of an answer to work that could not be read


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What every record carries."""

    event_id: str
    job_id: str
    tenant_id: str
    actor: str
    occurred_at: int
    cause_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact(Event):
    """A numbered fact of a job's history, written by the assembler alone."""

    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadReceived(Event):
    """Audio was stored and a transcription requested."""

    audio: StoredObject
    file_name: str | None = None
    media_type: str | None = None
    options: TranscriptionOptions
    lane: Lane = Lane.INTERACTIVE
    origin_job_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioPrepared(Event):
    """The audio was decoded to its end and cut; this is the plan of its chunks."""

    duration_ms: int
    media: MediaInfo
    cutter: str
    lane: Lane
    chunks: tuple[PlannedChunk, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioRejected(Event):
    """The upload cannot be transcribed."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancellationRequested(Event):
    """A client asked to stop the job."""

    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRequested(Event):
    """A client asked to run again what failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureRequested(Event):
    """A client asked to forget the job."""

    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlinePassed(Event):
    """A time limit of the job passed without the progress it demands."""

    deadline: str
    as_of_seq: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackSubmitted(Event):
    """A person judged the transcript."""

    rating: int
    comment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkCut(Event):
    """A chunk of audio is stored and wants model work."""

    index: int
    round: int
    tasks: tuple[Task, ...]
    start_ms: int
    end_ms: int
    object_start_ms: int
    object: StoredObject
    lane: Lane
    options: TranscriptionOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkTranscribed(Event):
    """The words of a chunk's core."""

    index: int
    round: int
    chunk_sha256: str
    language: str | None = None
    language_probability: float | None = None
    passages: tuple[Passage, ...]
    warnings: tuple[JobWarning, ...] = ()
    made_by: ModelRun


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkDiarized(Event):
    """Who might speak when in a chunk: evidence, clustered only for the whole recording."""

    index: int
    round: int
    chunk_sha256: str
    evidence: StoredObject
    speech_ms: int
    made_by: ModelRun


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkFailed(Event):
    """Model work on a chunk ended without a result."""

    index: int
    round: int
    chunk_sha256: str
    task: Task
    code: str
    message: str
    retryable: bool
    tries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionSubmitted(Event):
    """A person replaces a run of segments: edit, split, merge, revert and find-and-replace are all this."""

    base: tuple[BaseSegment, ...]
    replacement: tuple[ReplacementSegment, ...]
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerNameSubmitted(Event):
    """A person names a speaker."""

    speaker_id: str
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerMergeSubmitted(Event):
    """A person says two speakers are one."""

    speaker_id: str
    into_speaker_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAccepted(Fact):
    """The job exists."""

    audio: StoredObject
    file_name: str | None = None
    media_type: str | None = None
    options: TranscriptionOptions
    lane: Lane
    origin_job_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioReady(Fact):
    """The audio is decoded and cut; the work ahead is known."""

    duration_ms: int
    media: MediaInfo
    cutter: str
    lane: Lane
    chunks: tuple[PlannedChunk, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkCompleted(Fact):
    """All wanted work of a chunk is answered."""

    index: int
    round: int
    start_ms: int
    end_ms: int
    language: str | None = None
    language_probability: float | None = None
    text: str
    failed: tuple[Gap, ...] = ()
    warnings: tuple[JobWarning, ...] = ()
    made_by: tuple[ModelRun, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentsPublished(Fact):
    """Segments of the transcript, at most 100 to a record."""

    round: int
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptCompleted(Fact):
    """The transcript is whole, apart from the gaps it names."""

    round: int
    duration_ms: int
    language: str | None = None
    speakers: tuple[Speaker, ...]
    segment_count: int
    word_count: int
    gaps: tuple[Gap, ...] = ()
    warnings: tuple[JobWarning, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentsRevised(Fact):
    """A correction took effect."""

    removed: tuple[str, ...]
    segments: tuple[Segment, ...]
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerNamed(Fact):
    """A speaker has a name, or lost it."""

    speaker_id: str
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakersMerged(Fact):
    """Two speakers are one."""

    speaker_id: str
    into_speaker_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRefused(Fact):
    """A request was not carried out."""

    request: RequestKind
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRetried(Fact):
    """What failed runs again."""

    round: int
    chunks: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFailed(Fact):
    """The job ended without a transcript."""

    code: str
    stage: str
    retryable: bool
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCancelled(Fact):
    """The job was stopped at a client's wish."""

    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackGiven(Fact):
    """A person judged the transcript."""

    rating: int
    comment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobErased(Fact):
    """The job is forgotten: its earlier facts are overwritten by tombstones. This record stays."""

    erased_facts: int


UploadRecord = UploadReceived | AudioPrepared | AudioRejected
ControlRecord = CancellationRequested | RetryRequested | ErasureRequested | DeadlinePassed | FeedbackSubmitted
ChunkRecord = ChunkCut
TranscriptionRecord = ChunkTranscribed | ChunkDiarized | ChunkFailed
CorrectionRecord = CorrectionSubmitted | SpeakerNameSubmitted | SpeakerMergeSubmitted
TranscriptRecord = (
    JobAccepted
    | AudioReady
    | ChunkCompleted
    | SegmentsPublished
    | TranscriptCompleted
    | SegmentsRevised
    | SpeakerNamed
    | SpeakersMerged
    | RequestRefused
    | JobRetried
    | JobFailed
    | JobCancelled
    | FeedbackGiven
    | JobErased
)
Record = UploadRecord | ControlRecord | ChunkRecord | TranscriptionRecord | CorrectionRecord | TranscriptRecord
