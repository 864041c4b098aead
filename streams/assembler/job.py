"""How a job's state follows from its history.

In: facts of the job, and notes of results that are no fact yet. Out: the next state; `evolve` never fails.
What users can see (status, round, plan, revisions, speakers, gaps) follows from the facts alone, so that a lost state
is rebuilt by folding `transcripts`. Knows no clock, no database, no topic.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from schemas import records
from schemas.values import Gap, JobWarning, PlannedChunk, Segment, Task, TranscriptionOptions
from streams.assembler.state import (
    Answer,
    AnswerKept,
    AssemblyOrdered,
    Change,
    Chunk,
    ChunkSent,
    EarlyAnswer,
    Mark,
    State,
    Status,
)

DIARIZATION_FAILED = "diarization_failed"  # code of the warning in ChunkCompleted that a fold reads


def evolve(state: State | None, change: Change) -> State | None:
    """The state after a change. Total: a history that makes no sense yields some state, never an exception."""
    if isinstance(change, records.JobAccepted):
        return _accepted(change)
    if state is None:
        return None
    if isinstance(change, AnswerKept):
        return _kept(state, change)
    if isinstance(change, AssemblyOrdered):
        return replace(state, status=Status.ASSEMBLING, assembly=change.order)
    if isinstance(change, ChunkSent):
        return state
    return _after(replace(state, seq=change.seq), change)


def _after(state: State, fact: records.TranscriptRecord) -> State:  # noqa: C901  one case per fact
    match fact:
        case records.AudioReady():
            return _audio_ready(state, fact)
        case records.ChunkCompleted():
            return _chunk_completed(state, fact)
        case records.SegmentsPublished():
            marks = {**state.segments, **_marks(fact.segments, fact.seq)}
            return replace(state, segments=marks, published=(*state.published, fact.seq))
        case records.TranscriptCompleted():
            return _completed(state, fact)
        case records.SegmentsRevised():
            return _revised(state, fact)
        case records.SpeakersMerged():
            return replace(state, merged={**state.merged, fact.speaker_id: fact.into_speaker_id})
        case records.JobRetried():
            return _retried(state, fact)
        case records.JobFailed():
            return replace(state, status=Status.FAILED, assembly=None, early={}, retryable=fact.retryable)
        case records.JobCancelled():
            return replace(state, status=Status.CANCELLED, assembly=None, early={}, retryable=False)
        case records.JobErased():
            return erased(fact)
        case records.JobAccepted() | records.SpeakerNamed() | records.RequestRefused() | records.FeedbackGiven():
            return state
        case _:
            assert_never(fact)


def fold(changes: Iterable[Change], state: State | None = None) -> State | None:
    """The state after a history."""
    for change in changes:
        state = evolve(state, change)
    return state


def wanted_tasks(options: TranscriptionOptions) -> tuple[Task, ...]:
    """The model work a job wants on every chunk."""
    return (Task.ASR, Task.DIARIZATION) if options.diarize else (Task.ASR,)


def planned_chunk(state: State, index: int) -> PlannedChunk | None:
    """A chunk of the plan."""
    # Indexes of a plan count from 0 without gaps; the check keeps a foreign plan from misleading us.
    if index < len(state.plan) and state.plan[index].index == index:
        return state.plan[index]
    return next((chunk for chunk in state.plan if chunk.index == index), None)


def unfinished(state: State) -> dict[int, tuple[Task, ...]]:
    """Chunks to run again, with the work each lacks.

    Once there is a transcript only missing words count: a retry touches no segment that exists, so it could not
    give it a speaker either.
    """
    wanted = wanted_tasks(state.options)
    found = {}
    for planned in state.plan:
        chunk = state.chunks.get(planned.index)
        lacking = tuple(task for task in wanted if not (chunk and task in chunk.answers and chunk.answers[task].ok))
        if Task.ASR in lacking or (lacking and not state.has_transcript):
            found[planned.index] = lacking
    return found


def gaps(state: State) -> tuple[Gap, ...]:
    """Spans whose transcription failed."""
    return tuple(
        Gap(index=planned.index, start_ms=planned.start_ms, end_ms=planned.end_ms, code=failed.code)
        for planned in state.plan
        if (chunk := state.chunks.get(planned.index)) and (failed := chunk.failure(Task.ASR))
    )


def _accepted(fact: records.JobAccepted) -> State:
    return State(
        job_id=fact.job_id,
        tenant_id=fact.tenant_id,
        seq=fact.seq,
        status=Status.PREPARING,
        opened_at=fact.occurred_at,
        options=fact.options,
        lane=fact.lane,
    )


def _kept(state: State, note: AnswerKept) -> State:
    if not state.plan:
        early = EarlyAnswer(index=note.index, chunk_sha256=note.chunk_sha256, answer=note.answer)
        return replace(state, early={**state.early, note.index: (*state.early.get(note.index, ()), early)})
    chunk = state.chunks.get(note.index, Chunk(wanted=wanted_tasks(state.options)))
    answer = _slim(note.answer) if chunk.completed else note.answer
    return _with_chunk(state, note.index, replace(chunk, answers={**chunk.answers, answer.task: answer}))


def _audio_ready(state: State, fact: records.AudioReady) -> State:
    wanted = wanted_tasks(state.options)
    chunks = {
        planned.index: Chunk(wanted=wanted, answers=_early_answers(planned, state.early.get(planned.index, ())))
        for planned in fact.chunks
    }
    return replace(
        state,
        status=Status.TRANSCRIBING,
        duration_ms=fact.duration_ms,
        lane=fact.lane,
        plan=fact.chunks,
        chunks=chunks,
        early={},
    )


def _early_answers(planned: PlannedChunk, early: tuple[EarlyAnswer, ...]) -> dict[Task, Answer]:
    """Answers that came before the plan, as far as they belong to it: the first wins, a success over a failure.

    One without a hash answers work that could not be read.
    """
    answers: dict[Task, Answer] = {}
    for item in early:
        known = answers.get(item.answer.task)
        if item.chunk_sha256 in (planned.object.sha256, "") and (known is None or (item.answer.ok and not known.ok)):
            answers[item.answer.task] = item.answer
    return answers


def _chunk_completed(state: State, fact: records.ChunkCompleted) -> State:
    chunk = state.chunks.get(fact.index, Chunk(wanted=wanted_tasks(state.options)))
    answers = {task: _slim(answer) for task, answer in chunk.answers.items()}
    for task in chunk.wanted:  # a fold of the log has no notes: what is known of the answers is in the fact
        answers.setdefault(task, _folded(fact, task))
    return _with_chunk(state, fact.index, replace(chunk, answers=answers, completed=True))


def _folded(fact: records.ChunkCompleted, task: Task) -> Answer:
    failed = [(gap.code, "") for gap in fact.failed] if task is Task.ASR else _diarization_failures(fact.warnings)
    code, message = failed[0] if failed else ("", "")
    return Answer(task=task, round=fact.round, ok=not failed, code=code, message=message, retryable=bool(failed))


def _diarization_failures(warnings: tuple[JobWarning, ...]) -> list[tuple[str, str]]:
    return [(warning.code, warning.message) for warning in warnings if warning.code == DIARIZATION_FAILED]


def _slim(answer: Answer) -> Answer:
    return replace(answer, text="", made_by=None)


def _with_chunk(state: State, index: int, chunk: Chunk) -> State:
    return replace(state, chunks={**state.chunks, index: chunk})


def _marks(segments: tuple[Segment, ...], revision: int) -> dict[str, Mark]:
    return {s.segment_id: Mark(revision, s.start_ms, s.end_ms, s.speaker_id) for s in segments}


def _completed(state: State, fact: records.TranscriptCompleted) -> State:
    gaps_now = {gap.index: gap.code for gap in fact.gaps}
    return replace(
        state,
        status=Status.COMPLETED,
        assembly=None,
        has_transcript=True,
        published=(),
        language=fact.language,
        speakers=fact.speakers,
        chunks={index: _judged(chunk, gaps_now.get(index), fact.round) for index, chunk in state.chunks.items()},
        retryable=bool(fact.gaps),
    )


def _judged(chunk: Chunk, gap_code: str | None, round_: int) -> Chunk:
    """The transcript's own list of gaps has the last word: a late success closes one, a failed assembly leaves one."""
    known = chunk.answers.get(Task.ASR)
    if known is not None and known.ok == (gap_code is None):
        return chunk
    answer = Answer(task=Task.ASR, round=round_, ok=gap_code is None, code=gap_code or "", retryable=True)
    return replace(chunk, answers={**chunk.answers, Task.ASR: answer})


def _revised(state: State, fact: records.SegmentsRevised) -> State:
    kept = {name: mark for name, mark in state.segments.items() if name not in fact.removed}
    return replace(state, segments={**kept, **_marks(fact.segments, fact.seq)})


def _retried(state: State, fact: records.JobRetried) -> State:
    again = unfinished(state)
    chunks = dict(state.chunks)
    for index in fact.chunks:
        tasks = again.get(index, wanted_tasks(state.options))
        old = chunks[index].answers if index in chunks else {}
        chunks[index] = Chunk(wanted=tasks, answers={t: a for t, a in old.items() if t not in tasks})
    return replace(
        state,
        status=Status.TRANSCRIBING,
        round=fact.round,
        opened_at=fact.occurred_at,
        chunks=chunks,
        retryable=False,
    )


def erased(fact: records.JobErased) -> State:
    """What is left of a job, whatever it was."""
    return State(
        job_id=fact.job_id, tenant_id=fact.tenant_id, seq=fact.seq, status=Status.ERASED, opened_at=fact.occurred_at
    )
