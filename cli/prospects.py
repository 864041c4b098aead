"""Whether sending a dead letter again can help.

In: the record, where its job stands, and whether the audio it needs is stored. Out: a sentence that says why it cannot,
or nothing. Pure.
"""

from collections.abc import Callable

from projections.jobs.standing import Standing
from schemas import records
from schemas.records import Record

ERASED = "erased"
_UNKNOWN = "no job of this id is known"
_RETRY = "retry the job instead (POST /v1/transcriptions/{id}/retry)"

ChunkResult = records.ChunkTranscribed | records.ChunkDiarized | records.ChunkFailed


def hopeless(record: Record, job: Standing | None, stored: Callable[[str], bool]) -> str:
    """Why it cannot help; empty where it may. `stored` tells whether the object store has a key."""
    match record:
        case records.UploadReceived():
            return _upload(record, job, stored)
        case records.AudioPrepared() | records.AudioRejected():
            return _preparation(job)
        case records.ChunkCut():
            return _chunk(record, job) or _gone(record.object.key, stored)
        case records.ChunkTranscribed() | records.ChunkDiarized() | records.ChunkFailed():
            return _chunk(record, job)
        case records.DeadlinePassed():
            return "a deadline is written again by itself as long as it has passed"
        case records.CancellationRequested():
            return _ended(job) if job and not job.open else _known(job)
    return _known(job)


def _upload(record: records.UploadReceived, job: Standing | None, stored: Callable[[str], bool]) -> str:
    if job is None:
        return _gone(record.audio.key, stored)
    return _preparation(job) or _gone(record.audio.key, stored)


def _preparation(job: Standing | None) -> str:
    if job is None:
        return _UNKNOWN
    if not job.open:
        return f"{_ended(job)}; submit the recording again"
    return "the audio is prepared already" if job.prepared else ""


def _chunk(record: records.ChunkCut | ChunkResult, job: Standing | None) -> str:
    if job is None:
        return _UNKNOWN
    if not job.open:
        return _ended(job) if job.status == "cancelled" else f"{_ended(job)}; {_RETRY}"
    later = record.round != records.UNKNOWN_ROUND and record.round < job.round
    return f"it belongs to round {record.round}, and the job is in round {job.round}" if later else ""


def _ended(job: Standing) -> str:
    return f"the job has ended ({job.status})"


def _known(job: Standing | None) -> str:
    return "" if job else _UNKNOWN


def _gone(key: str, stored: Callable[[str], bool]) -> str:
    return "" if stored(key) else "its audio is no longer stored"
