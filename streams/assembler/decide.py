"""The decisions of a job: which facts an input leads to.

In: the state of a job, or None, and one input. Out: changes in order; none when the input changes nothing.
Knows no clock and no topic; ids and times come with the input.
"""

from typing import assert_never

from schemas import records
from schemas.values import RequestKind
from streams.assembler import completion, edits, requests, results
from streams.assembler.completion import AssemblyFinished, AssemblyGivenUp, Failure
from streams.assembler.decision import Decision, head, machine, requested
from streams.assembler.recovery import Recovered, resumed
from streams.assembler.state import Change, State, Status

Request = records.CancellationRequested | records.RetryRequested | records.FeedbackSubmitted | records.CorrectionRecord
LogInput = records.UploadRecord | records.ControlRecord | records.TranscriptionRecord | records.CorrectionRecord
Input = LogInput | AssemblyFinished | AssemblyGivenUp | Recovered
Beginning = records.UploadReceived | records.ErasureRequested

INTERNAL = ("internal", "Something went wrong on our side.")
_KINDS: dict[type[Request], RequestKind] = {
    records.CancellationRequested: RequestKind.CANCELLATION,
    records.RetryRequested: RequestKind.RETRY,
    records.FeedbackSubmitted: RequestKind.FEEDBACK,
    records.CorrectionSubmitted: RequestKind.CORRECTION,
    records.SpeakerNameSubmitted: RequestKind.SPEAKER_NAME,
    records.SpeakerMergeSubmitted: RequestKind.SPEAKER_MERGE,
}


def decide(state: State | None, given: Input) -> list[Change]:
    """Changes that `given` leads to. Other tenants' requests and erased jobs yield none.

    Of an unknown job only its upload and its erasure do: an upload that comes later, or never, is erased already.
    """
    if state is None:
        return _begin(nobody(given), given) if isinstance(given, Beginning) else []
    if foreign(state, given) or state.status is Status.ERASED:
        return []
    return _decide(state, given)


def foreign(state: State, given: Input) -> bool:
    """Whether the input claims another tenant than the job's."""
    return given.tenant_id != state.tenant_id and not results.anonymous(given)


def _decide(state: State, given: Input) -> list[Change]:  # noqa: C901  one case per input
    match given:
        case records.UploadReceived():
            return []  # the same job again: whoever came first has won
        case records.AudioPrepared():
            return _prepare(state, given)
        case records.AudioRejected():
            return _reject(state, given)
        case records.ChunkTranscribed() | records.ChunkDiarized() | records.ChunkFailed():
            return results.take(state, given)
        case records.CancellationRequested():
            return requests.cancel(state, given)
        case records.RetryRequested():
            return requests.retry(state, given)
        case records.ErasureRequested():
            return requests.erase(state, given)
        case records.DeadlinePassed():
            return requests.deadline(state, given)
        case records.FeedbackSubmitted():
            return requests.feedback(state, given)
        case records.CorrectionSubmitted():
            return edits.correct(state, given)
        case records.SpeakerNameSubmitted():
            return edits.name_speaker(state, given)
        case records.SpeakerMergeSubmitted():
            return edits.merge_speakers(state, given)
        case AssemblyFinished():
            return completion.assembled(state, given)
        case AssemblyGivenUp():
            return completion.given_up(state, given)
        case Recovered():
            return resumed(state, given)
        case _:
            assert_never(given)


def nobody(event: Beginning) -> State:
    """A job before its first fact."""
    return State(
        job_id=event.job_id,
        tenant_id=event.tenant_id,
        seq=0,
        status=Status.PREPARING,
        opened_at=event.occurred_at,
    )


def _begin(state: State, event: Beginning) -> list[Change]:
    return requests.erase(state, event) if isinstance(event, records.ErasureRequested) else [_accept(state, event)]


def _accept(state: State, event: records.UploadReceived) -> records.JobAccepted:
    return records.JobAccepted(
        **head(records.JobAccepted, state, requested(event)),
        audio=event.audio,
        file_name=event.file_name,
        media_type=event.media_type,
        options=event.options,
        lane=event.lane,
        origin_job_id=event.origin_job_id,
    )


def _prepare(state: State, event: records.AudioPrepared) -> list[Change]:
    if state.status is not Status.PREPARING:
        return []
    decision = Decision(state, machine(event))
    decision.add(
        records.AudioReady(
            **decision.head(records.AudioReady),
            duration_ms=event.duration_ms,
            media=event.media,
            cutter=event.cutter,
            lane=event.lane,
            chunks=event.chunks,
        )
    )
    results.complete_answered(decision, tuple(chunk.index for chunk in event.chunks))
    return decision.changes


def _reject(state: State, event: records.AudioRejected) -> list[Change]:
    if state.status is not Status.PREPARING:
        return []
    return _fail(state, event, Failure(code=event.code, stage="preparing", retryable=False, message=event.message))


def _fail(state: State, event: records.Event, why: Failure) -> list[Change]:
    decision = Decision(state, machine(event))
    completion.end_failed(decision, why)
    return decision.changes


def answer_poison(state: State | None, given: Input) -> list[Change]:
    """What a job is told when `decide` itself failed on an input, so that nothing hangs and nobody waits in vain."""
    if state is None or foreign(state, given) or state.status is Status.ERASED:
        return []
    if isinstance(given, Request):
        return requests.refused(state, given, _KINDS[type(given)], INTERNAL)
    if isinstance(given, records.Event) and state.open:
        stage = "preparing" if state.status is Status.PREPARING else "transcribing"
        return _fail(
            state, given, Failure(code=INTERNAL[0], stage=stage, retryable=bool(state.plan), message=INTERNAL[1])
        )
    if isinstance(given, AssemblyFinished) and state.assembly == given.order:
        gave_up = AssemblyGivenUp(
            job_id=given.job_id, tenant_id=given.tenant_id, order=given.order, message=INTERNAL[1]
        )
        return completion.given_up(state, gave_up)
    return []
