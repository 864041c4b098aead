"""Views and records as HTTP shows them: seconds instead of milliseconds, RFC 3339, links.

In: views of `projections`, or an upload that no view knows yet. Out: shapes. Pure.
"""

from datetime import UTC, datetime

from api import shapes
from projections.jobs.queries import JobView
from projections.transcripts.queries import SegmentView, SpeakerView
from schemas.records import UploadReceived
from schemas.values import TranscriptionOptions


def seconds(ms: int) -> float:
    """Milliseconds as seconds."""
    return ms / 1000


def maybe_seconds(ms: int | None) -> float | None:
    """Milliseconds as seconds, where there are any."""
    return None if ms is None else ms / 1000


def moment(ms: int) -> str:
    """A point in time as RFC 3339 in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def links(job_id: str) -> shapes.Links:
    """Addresses around a job."""
    own = job_path(job_id)
    return shapes.Links(self=own, transcript=f"{own}/transcript", segments=f"{own}/segments", events=f"{own}/events")


def job_path(job_id: str) -> str:
    """Address of a job."""
    return f"/v1/transcriptions/{job_id}"


def options(given: TranscriptionOptions) -> shapes.Options:
    """Options as they were frozen."""
    return shapes.Options(
        language=given.language,
        diarize=given.diarize,
        num_speakers=given.num_speakers,
        min_speakers=given.min_speakers,
        max_speakers=given.max_speakers,
        vocabulary=given.vocabulary,
        languages=given.languages,
        task="translate" if given.translate else "transcribe",
        prompt=given.prompt,
        quality=given.quality.value,
    )


def speaker(view: SpeakerView) -> shapes.Speaker:
    """A speaker."""
    return shapes.Speaker(id=view.speaker_id, label=view.label, name=view.name, speech_seconds=seconds(view.speech_ms))


def segment(view: SegmentView) -> shapes.Segment:
    """A segment with its words."""
    return shapes.Segment(
        id=view.segment_id,
        revision=view.revision,
        start=seconds(view.start_ms),
        end=seconds(view.end_ms),
        text=view.text,
        speaker_id=view.speaker_id,
        speaker=view.speaker,
        language=view.language,
        confidence=view.confidence,
        words=tuple(
            shapes.Word(
                index=index,
                text=word.text,
                start=maybe_seconds(word.start_ms),
                end=maybe_seconds(word.end_ms),
                confidence=word.confidence,
                speaker_id=word.speaker_id,
                timing=word.timing.value,
            )
            for index, word in enumerate(view.words)
        ),
        flags=view.flags,
    )


def job(view: JobView, audio_deleted_ms: int | None = None) -> shapes.Job:
    """A job from its view, and when its recording was deleted because of its age."""
    failure = view.failure
    return shapes.Job(
        id=view.job_id,
        status=view.status,
        stage=view.stage,
        progress=round(view.progress, 4),
        eta_seconds=view.eta_s,
        file_name=view.file_name,
        media_type=view.media_type,
        sha256=view.sha256,
        size_bytes=view.size_bytes,
        duration_seconds=maybe_seconds(view.duration_ms),
        language=view.language,
        options=options(view.options),
        lane=view.lane,
        warnings=tuple(shapes.Warning(code=w.code, message=w.message) for w in view.warnings),
        failure=None
        if failure is None
        else shapes.Failure(
            code=failure.code, stage=failure.stage, retryable=failure.retryable, message=failure.message
        ),
        gaps=tuple(shapes.Gap(start=seconds(g.start_ms), end=seconds(g.end_ms), code=g.code) for g in view.gaps),
        speakers=tuple(speaker(s) for s in view.speakers),
        segment_count=view.segment_count,
        word_count=view.word_count,
        partial_text=view.partial_text,
        chunks=shapes.Chunks(planned=view.chunks_planned, completed=view.chunks_completed),
        created_at=moment(view.created_at_ms),
        updated_at=moment(view.updated_at_ms),
        version=view.version,
        origin_job_id=view.origin_job_id,
        audio_deleted_at=None if audio_deleted_ms is None else moment(audio_deleted_ms),
        links=links(view.job_id),
    )


def accepted_job(upload: UploadReceived) -> shapes.Job:
    """A job that is accepted and in no view yet."""
    at = moment(upload.occurred_at)
    return shapes.Job(
        id=upload.job_id,
        status="queued",
        stage="uploaded",
        progress=0.0,
        eta_seconds=None,
        file_name=upload.file_name,
        media_type=upload.media_type,
        sha256=upload.audio.sha256,
        size_bytes=upload.audio.size_bytes,
        duration_seconds=None,
        language=None,
        options=options(upload.options),
        lane=upload.lane.value,
        warnings=(),
        failure=None,
        gaps=(),
        speakers=(),
        segment_count=0,
        word_count=0,
        partial_text=None,
        chunks=shapes.Chunks(planned=None, completed=0),
        created_at=at,
        updated_at=at,
        version=0,
        origin_job_id=upload.origin_job_id,
        audio_deleted_at=None,
        links=links(upload.job_id),
    )
