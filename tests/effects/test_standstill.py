"""Whether a job stands still, as a table."""

from dataclasses import replace

import pytest

from effects.sweeps.standstill import CURRENT_MS, WRITTEN_WITHIN_MS, OpenJob, Where, stands_still
from schemas.identity import chunk_key, partition_for
from schemas.topics import WORKING_RETENTION_MS

PARTITIONS = 4
AFTER_MS = 3_600_000
NOW_MS = 2_000_000_000_000
JOB = OpenJob(
    job_id="3d2f0c60-6d6c-5b86-9c07-0f5a3c0c0001",
    tenant_id="t",
    seq=2,
    touched_at_ms=NOW_MS - 2 * AFTER_MS,
    prepared=True,
    diarize=True,
    open_chunks=(3,),
)
PREPARING = replace(JOB, prepared=False, open_chunks=())
OWN = partition_for(JOB.job_id.encode(), PARTITIONS)
CHUNKS = partition_for(chunk_key(JOB.job_id, 3), PARTITIONS)
LONG_AGO_MS = JOB.touched_at_ms - 1
ANCIENT = replace(JOB, touched_at_ms=NOW_MS - WORKING_RETENTION_MS - 1)


@pytest.mark.parametrize(
    ("job", "waiting", "still"),
    [
        pytest.param(JOB, {}, True, id="nothing waits anywhere"),
        pytest.param(replace(JOB, touched_at_ms=NOW_MS - AFTER_MS + 1), {}, False, id="it moved lately"),
        pytest.param(JOB, {("speech-asr", "chunks.batch", CHUNKS): LONG_AGO_MS}, False, id="a long queue"),
        pytest.param(
            JOB, {("speech-asr", "chunks.batch", (CHUNKS + 1) % PARTITIONS): LONG_AGO_MS}, True, id="another queue"
        ),
        pytest.param(
            JOB,
            {("speech-asr", "chunks.batch", CHUNKS): JOB.touched_at_ms + WRITTEN_WITHIN_MS + 1},
            True,
            id="only later work waits",
        ),
        pytest.param(JOB, {("speech-diarization", "chunks.batch", CHUNKS): LONG_AGO_MS}, False, id="no diarizer"),
        pytest.param(
            replace(JOB, diarize=False),
            {("speech-diarization", "chunks.batch", CHUNKS): LONG_AGO_MS},
            True,
            id="no diarizer, and none wanted",
        ),
        pytest.param(JOB, {("chunker", "uploads", OWN): LONG_AGO_MS}, True, id="it is prepared already"),
        pytest.param(PREPARING, {("chunker", "uploads", OWN): LONG_AGO_MS}, False, id="it waits for the chunker"),
        pytest.param(JOB, {("projector", "transcripts", OWN): NOW_MS - CURRENT_MS}, False, id="the views are old"),
        pytest.param(
            JOB,
            {("assembler", "transcriptions", OWN): NOW_MS - CURRENT_MS},
            False,
            id="its results wait",
        ),
        pytest.param(JOB, {("assembler", "transcriptions", OWN): NOW_MS - 1}, True, id="a busy writer"),
        pytest.param(ANCIENT, {("speech-asr", "chunks.batch", CHUNKS): LONG_AGO_MS}, True, id="its work has expired"),
        pytest.param(ANCIENT, {("projector", "transcripts", OWN): LONG_AGO_MS}, False, id="expired, views old"),
    ],
)
def test_only_a_job_that_nothing_will_move_stands_still(job: OpenJob, waiting: dict[Where, int], still: bool) -> None:
    assert stands_still(job, waiting, PARTITIONS, NOW_MS, AFTER_MS) is still
