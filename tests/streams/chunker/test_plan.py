"""The events of a recording: the same from the same upload, whoever computes them and when."""

from dataclasses import replace

from schemas.records import UploadReceived
from schemas.values import Lane, MediaInfo, PlannedChunk, StoredObject, Task, TranscriptionOptions
from streams.chunker import plan
from streams.chunker.cut import CUTTER

AUDIO = StoredObject(key="t/j/audio", size_bytes=9, sha256="0" * 64)
UPLOAD = UploadReceived(
    event_id="e", job_id="j", tenant_id="t", actor="key", occurred_at=1, cause_id="c", audio=AUDIO,
    options=TranscriptionOptions(language="de"),
)  # fmt: skip
MEDIA = MediaInfo(container="wav", codec="pcm_s16le", sample_rate_hz=16_000, channels=1)


def chunk(index: int) -> PlannedChunk:
    start_ms = index * 20_000
    return PlannedChunk(
        index=index, start_ms=start_ms, end_ms=start_ms + 20_000, object_start_ms=start_ms, object=AUDIO
    )


def test_ids_differ_by_chunk_and_not_by_time() -> None:
    ids = {plan.chunk_cut(UPLOAD, chunk(i), Lane.BATCH, now).event_id for i in range(5) for now in (1, 2)}
    assert len(ids) == 5
    prepared = plan.audio_prepared(UPLOAD, MEDIA, (chunk(0),), Lane.BATCH, 1)
    rejected = plan.audio_rejected(UPLOAD, "damaged", "It is.", 1)
    assert len({prepared.event_id, rejected.event_id} | ids) == 7


def test_a_chunk_belongs_to_its_upload() -> None:
    cut = plan.chunk_cut(UPLOAD, chunk(3), Lane.INTERACTIVE, 5)
    assert (cut.job_id, cut.tenant_id, cut.cause_id, cut.options) == ("j", "t", "e", UPLOAD.options)
    assert (cut.index, cut.round, cut.start_ms, cut.end_ms) == (3, 0, 60_000, 80_000)


def test_diarization_is_wanted_only_when_asked_for() -> None:
    assert plan.chunk_cut(UPLOAD, chunk(0), Lane.BATCH, 1).tasks == (Task.ASR, Task.DIARIZATION)
    without = replace(UPLOAD, options=TranscriptionOptions(diarize=False))
    assert plan.chunk_cut(without, chunk(0), Lane.BATCH, 1).tasks == (Task.ASR,)


def test_the_plan_ends_where_the_recording_does() -> None:
    prepared = plan.audio_prepared(UPLOAD, MEDIA, (chunk(0), chunk(1)), Lane.INTERACTIVE, 1)
    assert (prepared.duration_ms, prepared.cutter, len(prepared.chunks)) == (40_000, CUTTER, 2)


def test_long_audio_moves_to_batch_and_never_back() -> None:
    assert plan.lane_at(UPLOAD, 300_000, 300) is Lane.INTERACTIVE
    assert plan.lane_at(UPLOAD, 300_001, 300) is Lane.BATCH
    assert plan.lane_at(replace(UPLOAD, lane=Lane.BATCH), 1_000, 300) is Lane.BATCH


def test_a_chunk_is_stored_under_its_content() -> None:
    assert plan.chunk_object_key(UPLOAD, 7, "abcdef0123456789" + "f" * 48) == "t/j/chunks/00007-abcdef0123456789.flac"
