"""The events of a recording: what an upload and its chunks lead to.

In: an UploadReceived, stored chunks, a time. Out: ChunkCut, AudioPrepared and AudioRejected, with ids that follow from
the upload alone, so that a repeated run says the same again. Pure: knows no clock, no topic and no file.
"""

from schemas.identity import event_id
from schemas.records import AudioPrepared, AudioRejected, ChunkCut, UploadReceived
from schemas.values import Lane, MediaInfo, PlannedChunk, Task
from streams.chunker.cut import CUTTER

ACTOR = "chunker"
REJECTIONS = {
    "audio_missing": "The audio is no longer stored.",
    "audio_withheld": "The object store does not hand out the audio. Submit the recording again once that is mended.",
    "internal": "The audio could not be prepared, and trying again did not help. The file may be damaged.",
}


def chunk_object_key(upload: UploadReceived, index: int, sha256: str) -> str:
    """Where a chunk's audio lies; named by content, so that writing it again is harmless."""
    return f"{upload.tenant_id}/{upload.job_id}/chunks/{index:05d}-{sha256[:16]}.flac"


def lane_at(upload: UploadReceived, end_ms: int, interactive_audio_s: int) -> Lane:
    """The lane of a chunk, or of a recording, that ends at `end_ms`: long audio moves to batch, and never back."""
    return Lane.BATCH if end_ms > interactive_audio_s * 1000 else upload.lane


def chunk_cut(upload: UploadReceived, chunk: PlannedChunk, lane: Lane, now_ms: int) -> ChunkCut:
    """The work on a chunk."""
    return ChunkCut(
        event_id=event_id(upload.event_id, "ChunkCut", chunk.index),
        job_id=upload.job_id,
        tenant_id=upload.tenant_id,
        actor=ACTOR,
        occurred_at=now_ms,
        cause_id=upload.event_id,
        index=chunk.index,
        round=0,
        tasks=(Task.ASR, Task.DIARIZATION) if upload.options.diarize else (Task.ASR,),
        start_ms=chunk.start_ms,
        end_ms=chunk.end_ms,
        object_start_ms=chunk.object_start_ms,
        object=chunk.object,
        lane=lane,
        options=upload.options,
    )


def audio_prepared(
    upload: UploadReceived, media: MediaInfo, chunks: tuple[PlannedChunk, ...], lane: Lane, now_ms: int
) -> AudioPrepared:
    """The plan; the last chunk's end is the recording's. That of 12 h in chunks of 20 s and more fits a record."""
    return AudioPrepared(
        event_id=event_id(upload.event_id, "AudioPrepared"),
        job_id=upload.job_id,
        tenant_id=upload.tenant_id,
        actor=ACTOR,
        occurred_at=now_ms,
        cause_id=upload.event_id,
        duration_ms=chunks[-1].end_ms,
        media=media,
        cutter=CUTTER,
        lane=lane,
        chunks=chunks,
    )


def audio_rejected(upload: UploadReceived, code: str, message: str, now_ms: int) -> AudioRejected:
    """The refusal."""
    return AudioRejected(
        event_id=event_id(upload.event_id, "AudioRejected"),
        job_id=upload.job_id,
        tenant_id=upload.tenant_id,
        actor=ACTOR,
        occurred_at=now_ms,
        cause_id=upload.event_id,
        code=code,
        message=message,
    )
