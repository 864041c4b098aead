"""Results of chunks: which of them count, when a chunk is complete, and what follows when all are.

In: results of the speech workers. Out: changes of the job.
Only results for planned chunks of the current round count: the first wins, but a success replaces an earlier failure.
"""

from collections.abc import Iterator
from dataclasses import replace

from schemas import records
from schemas.values import Gap, JobWarning, Task
from streams.assembler.completion import Failure, end_failed
from streams.assembler.decision import Decision, machine
from streams.assembler.job import DIARIZATION_FAILED, planned_chunk
from streams.assembler.state import Answer, AnswerKept, AssemblyOrder, AssemblyOrdered, Change, Chunk, State, Status
from streams.assembler.words import storable

TRANSCRIPTION_FAILED = "transcription_failed"


def answer(record: records.TranscriptionRecord) -> Answer:
    """What the job keeps of a result."""
    match record:
        case records.ChunkTranscribed():
            return Answer(
                task=Task.ASR,
                round=record.round,
                ok=True,
                language=record.language,
                language_probability=record.language_probability,
                text=storable(" ".join(passage.text.strip() for passage in record.passages if passage.text.strip())),
                warnings=record.warnings,
                made_by=record.made_by,
            )
        case records.ChunkDiarized():
            return Answer(task=Task.DIARIZATION, round=record.round, ok=True, made_by=record.made_by)
        case records.ChunkFailed():
            return Answer(
                task=record.task,
                round=record.round,
                ok=False,
                code=record.code,
                message=record.message,
                retryable=record.retryable,
            )


def anonymous(record: object) -> bool:
    """Whether this answers work that could not be read: only its key was known, the job and the index."""
    return isinstance(record, records.ChunkFailed) and record.round == records.UNKNOWN_ROUND


def take(state: State, record: records.TranscriptionRecord) -> list[Change]:
    """A result of a chunk."""
    if isinstance(record, records.ChunkFailed) and anonymous(record):
        # Taken to be about the planned chunk. Should that have its answer, or get a good one, this one changes nothing.
        sha256 = _sha256(state, record.index) or ""
        record = replace(record, tenant_id=state.tenant_id, round=state.round, chunk_sha256=sha256)
    given = answer(record)
    if not _counts(state, record, given):
        return []
    decision = Decision(state, machine(record))
    decision.note(AnswerKept(index=record.index, chunk_sha256=record.chunk_sha256, answer=given))
    complete_answered(decision, (record.index,))
    return decision.changes


def _counts(state: State, record: records.TranscriptionRecord, given: Answer) -> bool:
    if record.round != state.round:
        return False
    if state.status is Status.PREPARING:
        known = [
            early.answer
            for early in state.early.get(record.index, ())
            if early.chunk_sha256 == record.chunk_sha256 and early.answer.task is given.task
        ]
        return _better(known[-1] if known else None, given)
    if state.status is not Status.TRANSCRIBING:
        return False
    chunk = state.chunks.get(record.index)
    if chunk is None or given.task not in chunk.wanted:
        return False
    return _sha256(state, record.index) == record.chunk_sha256 and _better(chunk.answers.get(given.task), given)


def _better(known: Answer | None, given: Answer) -> bool:
    return known is None or (given.ok and not known.ok)


def _sha256(state: State, index: int) -> str | None:
    planned = planned_chunk(state, index)
    return planned.object.sha256 if planned else None


def complete_answered(decision: Decision, indexes: tuple[int, ...]) -> None:
    """ChunkCompleted for each of these chunks whose wanted work is all answered, then whatever follows."""
    if not decision.state.plan:
        return
    for index in indexes:
        chunk = decision.state.chunks[index]
        if chunk.answered() and not chunk.completed:
            decision.add(_chunk_completed(decision, index, chunk))
    # After a recovery a chunk may be complete in the log while its answers are still being read again. Results come
    # about in order: from the end, the first chunk looked at is usually open.
    chunks = decision.state.chunks
    if all((chunk := chunks[item.index]).completed and chunk.answered() for item in reversed(decision.state.plan)):
        all_answered(decision)


def _chunk_completed(decision: Decision, index: int, chunk: Chunk) -> records.ChunkCompleted:
    planned = planned_chunk(decision.state, index)
    assert planned is not None
    asr = chunk.answers.get(Task.ASR)
    failed = chunk.failure(Task.ASR) if Task.ASR in chunk.wanted else None
    return records.ChunkCompleted(
        **decision.head(records.ChunkCompleted),
        index=index,
        round=decision.state.round,
        start_ms=planned.start_ms,
        end_ms=planned.end_ms,
        language=asr.language if asr else None,
        language_probability=asr.language_probability if asr else None,
        text=asr.text if asr else "",
        failed=(Gap(index=index, start_ms=planned.start_ms, end_ms=planned.end_ms, code=failed.code),)
        if failed
        else (),
        warnings=tuple(_chunk_warnings(chunk)),
        made_by=tuple(item.made_by for item in chunk.answers.values() if item.made_by),
    )


def _chunk_warnings(chunk: Chunk) -> Iterator[JobWarning]:
    for given in chunk.answers.values():
        yield from given.warnings
    if failed := chunk.failure(Task.DIARIZATION):
        yield JobWarning(code=DIARIZATION_FAILED, message=failed.message)


def all_answered(decision: Decision) -> None:
    """Every chunk is complete: assemble what there is, or end the round if there is nothing new."""
    state = decision.state
    fresh = [
        given
        for chunk in state.chunks.values()
        if (given := chunk.answers.get(Task.ASR)) and (given.round == state.round or not state.has_transcript)
    ]
    if state.plan and not any(given.ok for given in fresh):
        _end_without_words(decision, fresh)
        return
    cause = decision.cause
    order = AssemblyOrder(round=state.round, cause_id=cause.cause_id, occurred_at=cause.occurred_at)
    decision.note(AssemblyOrdered(order=order))


def _end_without_words(decision: Decision, failures: list[Answer]) -> None:
    codes = {failed.code for failed in failures}
    message = next((failed.message for failed in failures if failed.message), "No part could be transcribed.")
    end_failed(
        decision,
        Failure(
            code=codes.pop() if len(codes) == 1 else TRANSCRIPTION_FAILED,
            stage="transcribing",
            retryable=any(failed.retryable for failed in failures),
            message=message,
        ),
    )
