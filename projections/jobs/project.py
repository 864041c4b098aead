"""The view `jobs`: what was asked, how far it is, how it ended.

In: one fact. Out: the rows it contributes. Different facts contribute different rows, except `job_state`, which
each fact that changes the status writes whole. Knows no other fact, no database and no clock.
"""

from typing import Any, assert_never

from projections.writes import Statement, Write, stamp
from schemas import records
from schemas.records import Fact, TranscriptRecord

REQUEST = Statement(name="put_request", key=("job_id",))
AUDIO = Statement(name="put_audio", key=("job_id",))
STATE = Statement(name="put_state", key=("job_id",))
CHUNK = Statement(name="put_chunk", key=("job_id", "chunk"))
RETRY = Statement(name="put_retry", key=("job_id",))
COMPLETION = Statement(name="put_completion", key=("job_id",))
TOUCH = Statement(name="put_touch", key=("job_id",))
ERASURE = Statement(name="put_erasure", key=("job_id",))
ERASE = Statement(name="erase", key=("job_id",))
STATEMENTS = (REQUEST, AUDIO, STATE, CHUNK, RETRY, COMPLETION, TOUCH, ERASURE, ERASE)


def project(fact: TranscriptRecord) -> tuple[Write, ...]:
    """The rows of one fact."""
    return (_write(TOUCH, fact), *_contribution(fact))


def _contribution(fact: TranscriptRecord) -> tuple[Write, ...]:
    match fact:
        case records.JobAccepted():
            return _accepted(fact)
        case records.AudioReady():
            return _audio_ready(fact)
        case records.ChunkCompleted():
            return (_chunk(fact),)
        case records.JobRetried(round=number, chunks=chunks):
            again = _write(RETRY, fact, round=number, planned=len(chunks))
            return (again, _state(fact, "processing", "transcribing"))
        case records.TranscriptCompleted():
            return _completed(fact)
        case records.JobFailed():
            return (_failed(fact),)
        case records.JobCancelled():
            return (_state(fact, "cancelled", None),)
        case records.JobErased():
            return (_write(ERASURE, fact), _write(ERASE, fact))
        case (
            records.SegmentsPublished()
            | records.SegmentsRevised()
            | records.SpeakerNamed()
            | records.SpeakersMerged()
            | records.RequestRefused()
            | records.FeedbackGiven()
        ):
            return ()
        case _:
            assert_never(fact)


def _write(statement: Statement, fact: Fact, **columns: Any) -> Write:
    row = stamp(fact) | {"occurred_at": fact.occurred_at} | columns
    return Write(statement=statement, row=row)


def _state(fact: Fact, status: str, stage: str | None, failure: dict[str, Any] | None = None) -> Write:
    return _write(STATE, fact, status=status, stage=stage, failure=failure)


def _accepted(fact: records.JobAccepted) -> tuple[Write, ...]:
    request = _write(
        REQUEST,
        fact,
        actor=fact.actor,
        audio_key=fact.audio.key,
        size_bytes=fact.audio.size_bytes,
        sha256=fact.audio.sha256,
        file_name=fact.file_name,
        media_type=fact.media_type,
        options=fact.options,
        lane=fact.lane,
        origin_job_id=fact.origin_job_id,
    )
    return (request, _state(fact, "queued", "preparing"))


def _audio_ready(fact: records.AudioReady) -> tuple[Write, ...]:
    audio = _write(
        AUDIO,
        fact,
        duration_ms=fact.duration_ms,
        media=fact.media,
        lane=fact.lane,
        planned=len(fact.chunks),
    )
    return (audio, _state(fact, "processing", "transcribing"))


def _chunk(fact: records.ChunkCompleted) -> Write:
    return _write(
        CHUNK,
        fact,
        chunk=fact.index,
        round=fact.round,
        start_ms=fact.start_ms,
        end_ms=fact.end_ms,
        language=fact.language,
        text=fact.text,
        failed=fact.failed,
        warnings=fact.warnings,
    )


def _completed(fact: records.TranscriptCompleted) -> tuple[Write, ...]:
    completion = _write(
        COMPLETION,
        fact,
        round=fact.round,
        duration_ms=fact.duration_ms,
        language=fact.language,
        gaps=fact.gaps,
        warnings=fact.warnings,
    )
    return (completion, _state(fact, "completed", "done"))


def _failed(fact: records.JobFailed) -> Write:
    failure = {
        "code": fact.code,
        "stage": fact.stage,
        "retryable": fact.retryable,
        "message": fact.message,
    }
    return _state(fact, "failed", fact.stage, failure)
