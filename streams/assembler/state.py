"""A job as its one writer knows it: the types of its state and of the changes it goes through.

In: nothing. Out: frozen records that go through JSON unchanged. Knows no rule; `job` does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from schemas import records
from schemas.values import JobWarning, Lane, ModelRun, PlannedChunk, Speaker, Task, TranscriptionOptions


class Status(StrEnum):
    """Where a job stands. The first three are open."""

    PREPARING = "preparing"
    TRANSCRIBING = "transcribing"
    ASSEMBLING = "assembling"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ERASED = "erased"


OPEN = frozenset({Status.PREPARING, Status.TRANSCRIBING, Status.ASSEMBLING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is known of one task on one chunk. Text and what made it are dropped once the chunk is completed."""

    task: Task
    round: int
    ok: bool
    code: str = ""
    message: str = ""
    retryable: bool = False
    language: str | None = None
    language_probability: float | None = None
    text: str = ""
    warnings: tuple[JobWarning, ...] = ()
    made_by: ModelRun | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyAnswer:
    """An answer that came before the plan: which cut it belongs to shows only then."""

    index: int
    chunk_sha256: str
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A planned chunk in the current round."""

    wanted: tuple[Task, ...]
    answers: Mapping[Task, Answer] = field(default_factory=dict)
    completed: bool = False

    def answered(self) -> bool:
        """Whether every wanted task is answered."""
        return all(task in self.answers for task in self.wanted)

    def failure(self, task: Task) -> Answer | None:
        """The failed answer of a task."""
        answer = self.answers.get(task)
        return answer if answer and not answer.ok else None


class Mark(NamedTuple):
    """What the writer remembers of a segment: enough to judge a correction and to map speakers of a retry."""

    revision: int
    start_ms: int
    end_ms: int
    speaker_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssemblyOrder:
    """What the running assembly answers: cause and time of the last result, and its round."""

    round: int
    cause_id: str
    occurred_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One job. `seq` is the number of its last fact; `opened_at` is when the current round began.

    `early` are answers by index of their chunk, in order of arrival. `published` are the facts with segments of a round
    whose transcript is not complete.
    """

    job_id: str
    tenant_id: str
    seq: int
    status: Status
    opened_at: int
    options: TranscriptionOptions = field(default_factory=TranscriptionOptions)
    lane: Lane = Lane.INTERACTIVE
    round: int = 0
    duration_ms: int = 0
    language: str | None = None
    plan: tuple[PlannedChunk, ...] = ()
    chunks: Mapping[int, Chunk] = field(default_factory=dict)
    early: Mapping[int, tuple[EarlyAnswer, ...]] = field(default_factory=dict)
    assembly: AssemblyOrder | None = None
    has_transcript: bool = False
    segments: Mapping[str, Mark] = field(default_factory=dict)
    published: tuple[int, ...] = ()
    speakers: tuple[Speaker, ...] = ()
    merged: Mapping[str, str] = field(default_factory=dict)
    retryable: bool = False

    @property
    def open(self) -> bool:
        """Whether work is under way."""
        return self.status in OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerKept:
    """Not a fact: a result that counts, remembered until its chunk is complete."""

    index: int
    chunk_sha256: str
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class AssemblyOrdered:
    """Not a fact: every chunk is complete, the transcript is to be assembled."""

    order: AssemblyOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkSent:
    """Not a fact: work that goes onto a chunk lane again."""

    work: records.ChunkCut


Note = AnswerKept | AssemblyOrdered | ChunkSent
Change = records.TranscriptRecord | Note
