"""A job as clients see it, put together from its rows.

In: one joined row of `jobs/queries.sql`, and what the view `transcripts` adds. Out: `JobView`.
Knows no database and no HTTP; times are ms.
"""

from dataclasses import dataclass
from typing import Literal

from projections.transcripts.views import SpeakerView, TranscriptCounts
from schemas.values import Gap, JobWarning, TranscriptionOptions

Status = Literal["queued", "processing", "completed", "failed", "cancelled"]
Stage = Literal["uploaded", "preparing", "transcribing", "assembling", "done"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a job ended without a transcript."""

    code: str
    stage: str
    retryable: bool
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job: what was asked, how far it is, how it ended. `version` is the seq of its newest fact."""

    job_id: str
    tenant_id: str
    status: Status
    stage: Stage
    progress: float
    eta_s: float | None
    file_name: str | None
    media_type: str | None
    audio_key: str
    sha256: str
    size_bytes: int
    duration_ms: int | None
    language: str | None
    options: TranscriptionOptions
    lane: str
    warnings: tuple[JobWarning, ...]
    failure: Failure | None
    gaps: tuple[Gap, ...]
    speakers: tuple[SpeakerView, ...]
    segment_count: int
    word_count: int
    partial_text: str | None
    chunks_planned: int | None
    chunks_completed: int
    created_at_ms: int
    updated_at_ms: int
    version: int
    origin_job_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """The joined rows of one job; None where a kind of fact has not arrived. `now_ms` is the database's clock."""

    job_id: str
    tenant_id: str
    created_at: int
    file_name: str | None
    media_type: str | None
    audio_key: str
    sha256: str
    size_bytes: int
    options: TranscriptionOptions
    lane: str
    origin_job_id: str | None
    status: Status
    stage: str | None
    failure: Failure | None
    duration_ms: int | None
    planned: int | None
    round_started_at: int
    chunks_completed: int
    last_chunk_at: int | None
    chunk_language: str | None
    chunk_failed: tuple[tuple[Gap, ...], ...]
    chunk_warnings: tuple[tuple[JobWarning, ...], ...]
    partial_text: str | None
    completed: bool
    completed_language: str | None
    completed_gaps: tuple[Gap, ...] | None
    completed_warnings: tuple[JobWarning, ...] | None
    updated_at: int
    version: int
    now_ms: int


def job_view(row: JobRow, counts: TranscriptCounts, speakers: tuple[SpeakerView, ...]) -> JobView:
    """The view of one job."""
    return JobView(
        job_id=row.job_id,
        tenant_id=row.tenant_id,
        status=row.status,
        stage=stage(row),
        progress=progress(row),
        eta_s=eta_s(row),
        file_name=row.file_name,
        media_type=row.media_type,
        audio_key=row.audio_key,
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        duration_ms=row.duration_ms,
        language=row.completed_language if row.completed else row.chunk_language,
        options=row.options,
        lane=row.lane,
        warnings=_warnings(row),
        failure=row.failure,
        gaps=_gaps(row),
        speakers=speakers,
        segment_count=counts.segments,
        word_count=counts.words,
        partial_text=row.partial_text if row.status == "processing" else None,
        chunks_planned=row.planned,
        chunks_completed=row.chunks_completed,
        created_at_ms=row.created_at,
        updated_at_ms=row.updated_at,
        version=row.version,
        origin_job_id=row.origin_job_id,
    )


def stage(row: JobRow) -> Stage:
    """Where the job is, or where it stopped."""
    if row.status == "completed":
        return "done"
    if row.status == "failed":
        return _named(row.stage)
    if row.planned is None:
        return "preparing"
    return "assembling" if row.chunks_completed >= row.planned else "transcribing"


def _named(text: str | None) -> Stage:
    match text:
        case "uploaded" | "preparing" | "transcribing" | "assembling":
            return text
        case _:
            return "preparing"


def progress(row: JobRow) -> float:
    """Finished chunks of the current round, 0 to 1."""
    if row.status == "completed":
        return 1.0
    if row.planned is None:
        return 0.0
    return min(1.0, row.chunks_completed / row.planned) if row.planned else 1.0


def eta_s(row: JobRow) -> float | None:
    """Seconds until the last chunk at the speed so far; None before the first chunk and when nothing is running."""
    if row.status != "processing" or not row.planned or row.last_chunk_at is None:
        return None
    left = max(0, row.planned - row.chunks_completed)
    per_chunk_ms = (row.last_chunk_at - row.round_started_at) / row.chunks_completed
    since_ms = row.now_ms - row.last_chunk_at
    return round(max(0.0, left * per_chunk_ms - since_ms) / 1000, 1)


def _warnings(row: JobRow) -> tuple[JobWarning, ...]:
    """Those of the transcript, or of the chunks while there is none; each once."""
    if row.completed_warnings is not None:
        return row.completed_warnings
    return tuple(dict.fromkeys(w for many in row.chunk_warnings for w in many))


def _gaps(row: JobRow) -> tuple[Gap, ...]:
    if row.completed_gaps is not None:
        return row.completed_gaps
    return tuple(gap for many in row.chunk_failed for gap in many)
