"""Requests about a whole job: cancel, retry, erase, deadlines and feedback.

In: records of `controls`. Out: changes of the job; every request that asks for an answer gets exactly one.
"""

from schemas import records
from schemas.identity import event_id
from schemas.values import RequestKind, Task
from streams.assembler.completion import Failure, end_failed
from streams.assembler.decision import ASSEMBLER, Decision, machine, requested
from streams.assembler.job import planned_chunk, unfinished
from streams.assembler.results import all_answered
from streams.assembler.state import Change, ChunkSent, State, Status

RATINGS = range(1, 6)


def refused(state: State, event: records.Event, kind: RequestKind, why: tuple[str, str]) -> list[Change]:
    """The request is not carried out; `why` is a stable code and a sentence."""
    decision = Decision(state, requested(event))
    head = decision.head(records.RequestRefused)
    decision.add(records.RequestRefused(**head, request=kind, code=why[0], message=why[1]))
    return decision.changes


def cancel(state: State, event: records.CancellationRequested) -> list[Change]:
    """Legal until the job has ended."""
    if not state.open:
        why = ("already_ended", f"The job is already {state.status.value}.")
        return refused(state, event, RequestKind.CANCELLATION, why)
    decision = Decision(state, requested(event))
    decision.add(records.JobCancelled(**decision.head(records.JobCancelled), reason=event.reason))
    return decision.changes


def erase(state: State, event: records.ErasureRequested) -> list[Change]:
    """Always legal; whoever writes the facts puts tombstones over all earlier ones first."""
    decision = Decision(state, requested(event))
    decision.add(records.JobErased(**decision.head(records.JobErased), erased_facts=state.seq))
    return decision.changes


def retry(state: State, event: records.RetryRequested) -> list[Change]:
    """Runs again what failed: chunks without words, or only the assembly when no chunk is missing."""
    if why := _no_retry(state):
        return refused(state, event, RequestKind.RETRY, why)
    lacking = unfinished(state)
    decision = Decision(state, requested(event))
    head = decision.head(records.JobRetried)
    decision.add(records.JobRetried(**head, round=state.round + 1, chunks=tuple(lacking)))
    for work in lacking.items():
        decision.note(ChunkSent(work=again(decision.state, event.event_id, event.occurred_at, work)))
    if not lacking:
        all_answered(decision)
    return decision.changes


def _no_retry(state: State) -> tuple[str, str] | None:
    if state.open:
        return "still_running", "The job is still running."
    if state.status is Status.CANCELLED:
        return "cancelled", "A cancelled job cannot be retried; submit the recording again."
    if state.status is Status.COMPLETED and not state.retryable:
        return "nothing_to_retry", "Nothing is missing that a retry could fill."
    if not state.retryable or not state.plan:
        return "not_retryable", "A retry cannot help; submit the recording again."
    return None


def again(state: State, cause_id: str, occurred_at: int, work: tuple[int, tuple[Task, ...]]) -> records.ChunkCut:
    """Work on a chunk, by its index, in the job's current round."""
    index, tasks = work
    planned = planned_chunk(state, index)
    assert planned is not None
    return records.ChunkCut(
        event_id=event_id(cause_id, "ChunkCut", index),
        job_id=state.job_id,
        tenant_id=state.tenant_id,
        actor=ASSEMBLER,
        occurred_at=occurred_at,
        cause_id=cause_id,
        index=index,
        round=state.round,
        tasks=tasks,
        start_ms=planned.start_ms,
        end_ms=planned.end_ms,
        object_start_ms=planned.object_start_ms,
        object=planned.object,
        lane=state.lane,
        options=state.options,
    )


def deadline(state: State, event: records.DeadlinePassed) -> list[Change]:
    """Ends a job that stands still; a deadline of an earlier round, or of before its last fact, is stale."""
    if not state.open or event.occurred_at < state.opened_at or event.as_of_seq not in (None, state.seq):
        return []
    decision = Decision(state, machine(event))
    stage = "preparing" if state.status is Status.PREPARING else state.status.value
    message = "The job made no progress for too long."
    end_failed(decision, Failure(code=event.deadline, stage=stage, retryable=bool(state.plan), message=message))
    return decision.changes


def feedback(state: State, event: records.FeedbackSubmitted) -> list[Change]:
    """A judgement of a transcript that exists."""
    if not state.has_transcript:
        return refused(state, event, RequestKind.FEEDBACK, ("no_transcript", "There is no transcript to judge yet."))
    if event.rating not in RATINGS:
        return refused(state, event, RequestKind.FEEDBACK, ("invalid_rating", "A rating is a number from 1 to 5."))
    decision = Decision(state, requested(event))
    head = decision.head(records.FeedbackGiven)
    decision.add(records.FeedbackGiven(**head, rating=event.rating, comment=event.comment))
    return decision.changes
