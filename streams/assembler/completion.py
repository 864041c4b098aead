"""The end of a round: a transcript published in bounded records, or a failure that spoils nothing there was before.

In: what the assembly made, or why there is nothing new. Out: changes of the job.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from schemas import records
from schemas.values import Gap, JobWarning, Segment, Speaker, Task
from streams.assembler.decision import ASSEMBLER, Cause, Decision
from streams.assembler.job import DIARIZATION_FAILED, gaps
from streams.assembler.state import AssemblyOrder, Change, State, Status

SEGMENTS_PER_RECORD = 100
SEGMENTS_BYTES = 450_000
_WORD_BYTES = 48  # upper bound of a word's encoded fields beside its text
_SEGMENT_BYTES = 400  # the same of a segment
ASSEMBLY_FAILED = "assembly_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssemblyFinished:
    """The assembled segments of a round; their ids are given when they are published."""

    job_id: str
    tenant_id: str
    order: AssemblyOrder
    segments: tuple[Segment, ...]
    speakers: tuple[Speaker, ...]
    language: str | None
    warnings: tuple[JobWarning, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssemblyGivenUp:
    """The assembly could not be done, however often it was tried."""

    job_id: str
    tenant_id: str
    order: AssemblyOrder
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a round ends without anything new."""

    code: str
    stage: str
    retryable: bool
    message: str


def end_failed(decision: Decision, why: Failure) -> None:
    """The round ends without anything new; a transcript of an earlier round stays what it is."""
    state = decision.state
    if not state.has_transcript:
        decision.add(
            records.JobFailed(
                **decision.head(records.JobFailed),
                code=why.code,
                stage=why.stage,
                retryable=why.retryable,
                message=why.message,
            )
        )
        return
    warning = JobWarning(code="retry_failed", message=why.message)
    _complete(
        decision, _Outcome(speakers=state.speakers, language=None, warnings=(warning,), missing=_unfilled(state, why))
    )


def _unfilled(state: State, why: Failure) -> tuple[Gap, ...]:
    """Chunks of this round whose words did not make it into the transcript."""
    return tuple(
        Gap(
            index=planned.index,
            start_ms=planned.start_ms,
            end_ms=planned.end_ms,
            code=failed.code if (failed := chunk.failure(Task.ASR)) else why.code,
        )
        for planned in state.plan
        if Task.ASR in (chunk := state.chunks[planned.index]).wanted
        and (Task.ASR not in chunk.answers or chunk.answers[Task.ASR].round == state.round)
    )


def assembled(state: State, done: AssemblyFinished) -> list[Change]:
    """The transcript of a round, published in records of bounded size."""
    if state.status is not Status.ASSEMBLING or state.assembly != done.order:
        return []
    decision = Decision(state, _cause(done.order), published=len(state.published))
    for packet in packets(done.segments):
        seq = decision.state.seq + 1
        named = tuple(replace(segment, segment_id=f"s{seq}-{n}") for n, segment in enumerate(packet, 1))
        head = decision.head(records.SegmentsPublished)
        decision.add(records.SegmentsPublished(**head, round=done.order.round, segments=named))
    _complete(
        decision,
        _Outcome(
            speakers=done.speakers,
            language=done.language,
            warnings=done.warnings,
            segment_count=len(done.segments),
            word_count=sum(len(segment.words) for segment in done.segments),
            missing=gaps(state),
        ),
    )
    return decision.changes


def given_up(state: State, input_: AssemblyGivenUp) -> list[Change]:
    """The assembly failed for good."""
    if state.status is not Status.ASSEMBLING or state.assembly != input_.order:
        return []
    decision = Decision(state, _cause(input_.order))
    end_failed(decision, Failure(code=ASSEMBLY_FAILED, stage="assembling", retryable=True, message=input_.message))
    return decision.changes


def _cause(order: AssemblyOrder) -> Cause:
    return Cause(cause_id=order.cause_id, occurred_at=order.occurred_at, actor=ASSEMBLER)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    speakers: tuple[Speaker, ...]
    language: str | None
    warnings: tuple[JobWarning, ...]
    segment_count: int = 0
    word_count: int = 0
    missing: tuple[Gap, ...] = ()


def _complete(decision: Decision, outcome: _Outcome) -> None:
    state = decision.state
    decision.add(
        records.TranscriptCompleted(
            **decision.head(records.TranscriptCompleted),
            round=state.round,
            duration_ms=state.duration_ms,
            language=state.language or outcome.language,
            speakers=outcome.speakers,
            segment_count=outcome.segment_count,
            word_count=outcome.word_count,
            gaps=outcome.missing,
            warnings=_distinct((*_job_warnings(state, outcome), *outcome.warnings)),
        )
    )


def _job_warnings(state: State, outcome: _Outcome) -> Iterator[JobWarning]:
    if outcome.missing:
        count = f"{len(outcome.missing)} of {len(state.plan)} parts"
        yield JobWarning(code="gaps", message=f"{count} could not be transcribed; a retry may fill them.")
    mute = sum(chunk.failure(Task.DIARIZATION) is not None for chunk in state.chunks.values())
    if mute:
        message = f"Speakers could not be told apart in {mute} of {len(state.plan)} parts."
        yield JobWarning(code=DIARIZATION_FAILED, message=message)
    for chunk in state.chunks.values():
        for given in chunk.answers.values():
            yield from given.warnings


def _distinct(warnings: tuple[JobWarning, ...]) -> tuple[JobWarning, ...]:
    first: dict[str, JobWarning] = {}
    for warning in warnings:
        first.setdefault(warning.code, warning)
    return tuple(first.values())


def size_bytes(segment: Segment) -> int:
    """An upper bound of a segment's size in a record."""
    words = sum(len(word.text.encode()) + _WORD_BYTES for word in segment.words)
    return len(segment.text.encode()) + words + sum(len(flag) + 2 for flag in segment.flags) + _SEGMENT_BYTES


def packets(segments: tuple[Segment, ...]) -> Iterator[tuple[Segment, ...]]:
    """Segments in order, at most 100 and 450 kB together."""
    packet: list[Segment] = []
    size = 0
    for segment in segments:
        more = size_bytes(segment)
        if packet and (len(packet) == SEGMENTS_PER_RECORD or size + more > SEGMENTS_BYTES):
            yield tuple(packet)
            packet, size = [], 0
        packet.append(segment)
        size += more
    if packet:
        yield tuple(packet)
