"""Jobs' states out of the log alone, after the database was lost or an older copy of it was restored.

In: facts of one partition as the log has them, and the states that the database still knows. Out: states as far as
the log, and what has to be done again. The log wins: a fact that a state does not know is folded into it.
What the log does not say is not taken for known: the answers of an open job's chunks count again when they are read
again, so that their words are stored again. Knows no database and no topic.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from schemas import records
from schemas.values import Task
from streams.assembler.decision import ASSEMBLER, Cause, Decision
from streams.assembler.job import erased, evolve, unfinished
from streams.assembler.requests import again
from streams.assembler.state import Answer, Change, Chunk, ChunkSent, State, Status

# Their causes are requests, which must not be answered a second time. Results may be read again: they only fill gaps.
ANSWERS = (
    records.JobAccepted,
    records.SegmentsRevised,
    records.SpeakerNamed,
    records.SpeakersMerged,
    records.RequestRefused,
    records.JobRetried,
    records.JobCancelled,
    records.FeedbackGiven,
    records.JobErased,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """An input of our own: the job's state came from the log, and its work has to go on."""

    job_id: str
    tenant_id: str
    cause_id: str
    occurred_at: int


@dataclass(slots=True, kw_only=True)
class Relearning:
    """Facts of one partition that wait for an earlier one: a fact that was published again stands later in the log."""

    waiting: dict[str, dict[int, tuple[int, records.TranscriptRecord]]] = field(default_factory=dict)

    def take(self, offset: int, fact: records.TranscriptRecord) -> None:
        """A fact as it was read."""
        self.waiting.setdefault(fact.job_id, {})[fact.seq] = (offset, fact)

    def fold(self, states: Mapping[str, State], *, final: bool) -> Iterator[tuple[State, records.TranscriptRecord]]:
        """Each fact that follows on a state, with the state after it; in the end also those behind a gap."""
        for job_id in list(self.waiting):
            state, facts = states.get(job_id), self.waiting.pop(job_id)
            for seq in sorted(facts):
                offset, fact = facts[seq]
                known = state.seq if state else 0
                if seq <= known:
                    continue
                if final or seq == known + 1 or isinstance(fact, records.JobErased):
                    state = relearn(state, fact)
                    yield state, fact
                else:
                    self.waiting.setdefault(job_id, {})[seq] = (offset, fact)

    def place(self, end: int) -> int:
        """From where the log has to be read again if we stop now."""
        return min((offset for facts in self.waiting.values() for offset, _ in facts.values()), default=end)


def relearn(state: State | None, fact: records.TranscriptRecord) -> State:
    """The state after a fact that the database did not know."""
    if isinstance(fact, records.JobErased):
        return erased(fact)
    if state is None and not isinstance(fact, records.JobAccepted):
        return _headless(fact)
    after = evolve(state, fact)
    assert after is not None
    if isinstance(fact, records.ChunkCompleted) and state is not None:
        return _completed_unanswered(state, after, fact.index)
    if isinstance(fact, records.TranscriptCompleted):
        return _answered(after, fact.round)
    return after


def _headless(fact: records.TranscriptRecord) -> State:
    """A job whose first facts are erased already: the rest is not known, and its erasure will be asked for again."""
    return State(
        job_id=fact.job_id,
        tenant_id=fact.tenant_id,
        seq=fact.seq,
        status=Status.FAILED,
        opened_at=fact.occurred_at,
    )


def _completed_unanswered(before: State, after: State, index: int) -> State:
    """The fact says that the chunk is complete; what was answered is in results that have to be read again."""
    known = before.chunks.get(index)
    chunk = after.chunks[index]
    answers = {task: chunk.answers[task] for task in (known.answers if known else ())}
    return replace(after, chunks={**after.chunks, index: replace(chunk, answers=answers)})


def _answered(state: State, round_: int) -> State:
    """A transcript is there: nothing of its round is waited for any more."""
    return replace(state, chunks={index: _without_questions(chunk, round_) for index, chunk in state.chunks.items()})


def _without_questions(chunk: Chunk, round_: int) -> Chunk:
    missing = {task: Answer(task=task, round=round_, ok=True) for task in chunk.wanted if task not in chunk.answers}
    return replace(chunk, answers={**missing, **chunk.answers}, completed=True)


def resumed(state: State, given: Recovered) -> list[Change]:
    """What an open job needs to go on.

    Segments that were published without the end of their transcript are taken back, because they will be published
    again under new numbers. Work of a retry may have been lost with the outbox: it is sent again. The chunks of a first
    round are on their lanes, and their results on the log.
    """
    if not state.open:
        return []
    decision = Decision(state, Cause(cause_id=given.cause_id, occurred_at=given.occurred_at, actor=ASSEMBLER))
    numbers = set(state.published)
    if half := tuple(name for name, mark in state.segments.items() if mark.revision in numbers):
        head = decision.head(records.SegmentsRevised)
        decision.add(records.SegmentsRevised(**head, removed=half, segments=(), note="is published again"))
    if state.round and state.status is Status.TRANSCRIBING:
        for index, tasks in _lacking(state):
            decision.note(ChunkSent(work=again(decision.state, given.cause_id, given.occurred_at, (index, tasks))))
    return decision.changes


def _lacking(state: State) -> Iterator[tuple[int, tuple[Task, ...]]]:
    """Work of this round that nothing has answered."""
    for index, tasks in unfinished(state).items():
        chunk = state.chunks[index]
        if open_tasks := tuple(task for task in tasks if task not in chunk.answers):
            yield index, open_tasks
