"""One assembly: everything a round's transcript is made of, and how it is put together.

In: results of the chunks and the job's segments so far. Out: new segments, all speakers, warnings.
A retry only adds: its words lie in the spans of the chunks that ran again, its speakers are the existing ones wherever
their turns are. Pure; knows no store and no process.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from schemas import records
from schemas.values import JobWarning, Passage, Speaker, Task, TranscriptionOptions
from streams.assembler.completion import AssemblyFinished
from streams.assembler.speakers import ChunkEvidence, SpeakerBounds, speaker_turns
from streams.assembler.state import AssemblyOrder, Mark, State
from streams.assembler.transcript import transcript
from streams.assembler.turns import Turn, TurnIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A chunk's result that counts, and the core it is about."""

    index: int
    round: int
    chunk_sha256: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AssemblyTask:
    """What is to be assembled: from the words of these chunks and the speaker evidence of those."""

    job_id: str
    tenant_id: str
    partition: int
    order: AssemblyOrder
    options: TranscriptionOptions
    language: str | None = None
    words: tuple[Wanted, ...] = ()
    evidence: tuple[Wanted, ...] = ()
    existing: tuple[Mark, ...] = ()
    speakers: tuple[Speaker, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    """What the store had for a task; `lost` counts chunks whose evidence is gone or unreadable."""

    transcribed: Sequence[records.ChunkTranscribed]
    evidence: Sequence[ChunkEvidence]
    lost: int = 0


def task_of(state: State, partition: int) -> AssemblyTask | None:
    """The task of a job that is assembling: a first transcript is made of all words, a retry's of its round's."""
    if state.assembly is None:
        return None
    later = state.has_transcript
    return AssemblyTask(
        job_id=state.job_id,
        tenant_id=state.tenant_id,
        partition=partition,
        order=state.assembly,
        options=state.options,
        language=state.language,
        words=tuple(item for item in _wanted(state, Task.ASR) if not later or item.round == state.round),
        evidence=tuple(_wanted(state, Task.DIARIZATION)),
        existing=tuple(state.segments.values()) if later else (),
        speakers=state.speakers if later else (),
    )


def _wanted(state: State, task: Task) -> Iterator[Wanted]:
    for planned in state.plan:
        answer = state.chunks[planned.index].answers.get(task)
        if answer is not None and answer.ok:
            yield Wanted(
                index=planned.index,
                round=answer.round,
                chunk_sha256=planned.object.sha256,
                start_ms=planned.start_ms,
                end_ms=planned.end_ms,
            )


def assemble(task: AssemblyTask, material: Material) -> AssemblyFinished:
    """The segments a round adds."""
    options = task.options
    passages = [passage for result in material.transcribed for passage in result.passages]
    bounds = SpeakerBounds.of(options.num_speakers, options.min_speakers, options.max_speakers)
    turns = speaker_turns(material.evidence, bounds) if options.diarize else []
    existing = {speaker.speaker_id: speaker for speaker in task.speakers}
    if task.order.round and existing:
        turns = known_speakers(turns, task.existing)
    turns = _within(turns, [(chunk.start_ms, chunk.end_ms) for chunk in task.words])
    made = transcript(passages, turns, task.language or options.language, existing)
    return AssemblyFinished(
        job_id=task.job_id,
        tenant_id=task.tenant_id,
        order=task.order,
        segments=made.segments,
        speakers=made.speakers,
        language=made.language,
        warnings=_warnings(task, material, passages, len(made.speakers)),
    )


def known_speakers(turns: Sequence[Turn], existing: Sequence[Mark]) -> list[Turn]:
    """Turns under the ids of the speakers whose segments they overlap most; whoever overlaps none is new."""
    index = TurnIndex(
        [Turn(start_ms=m.start_ms, end_ms=m.end_ms, speaker=m.speaker_id) for m in existing if m.speaker_id]
    )
    shared: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for turn in turns:
        for name, time_ms in index.overlaps(turn.start_ms, turn.end_ms).items():
            shared[turn.speaker][name] += time_ms
    names = {cluster: max(found, key=lambda name: (found[name], name)) for cluster, found in shared.items()}
    return [replace(turn, speaker=names.get(turn.speaker, f"new-{turn.speaker}")) for turn in turns]


def _within(turns: Sequence[Turn], spans: Sequence[tuple[int, int]]) -> list[Turn]:
    """The parts of turns that lie in spans, joined where spans touch."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    index = TurnIndex(turns)
    return [
        replace(turn, start_ms=max(turn.start_ms, start), end_ms=min(turn.end_ms, end))
        for start, end in joined
        for turn in index.around(start, end)
        if min(turn.end_ms, end) > max(turn.start_ms, start)
    ]


def _warnings(
    task: AssemblyTask, material: Material, passages: Sequence[Passage], speakers: int
) -> tuple[JobWarning, ...]:
    found = []
    if not any(passage.text.strip() for passage in passages):
        found.append(JobWarning(code="no_speech", message="No speech was found in the recording."))
    if material.lost:
        message = f"Speaker evidence of {material.lost} parts could not be read."
        found.append(JobWarning(code="evidence_missing", message=message))
    asked = task.options.num_speakers
    if task.options.diarize and asked and speakers and speakers != asked:
        message = f"{asked} speakers were asked for, {speakers} were heard."
        found.append(JobWarning(code="speaker_count", message=message))
    return tuple(found)
