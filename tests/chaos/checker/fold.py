"""What a job's facts add up to: the checker's own reading of the record documentation.

In: the facts of a job in the order of their numbers, as (kind, fields). Out: what every view must show.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Fields = Mapping[str, Any]
OPEN = frozenset({"queued", "processing"})


@dataclass(slots=True, kw_only=True)
class Segment:
    """A segment as it stands; a removed one keeps only the number of its removal."""

    seq: int
    removed: bool
    fields: Fields


@dataclass(slots=True, kw_only=True)
class Job:
    """A job as its facts leave it. `seqs` say which fact wrote what last."""

    job_id: str = ""
    tenant_id: str = ""
    seq: int = 0
    status: str = ""
    stage: str | None = None
    failure: Fields | None = None
    state_seq: int = 0
    accepted: Fields | None = None
    audio: Fields | None = None
    retried: Fields | None = None
    completed: Fields | None = None
    erased: Fields | None = None
    chunks: dict[int, Fields] = field(default_factory=dict)
    segments: dict[str, Segment] = field(default_factory=dict)
    speakers: dict[str, tuple[int, Fields]] = field(default_factory=dict)
    names: dict[str, tuple[int, str | None]] = field(default_factory=dict)
    merges: dict[str, tuple[int, str]] = field(default_factory=dict)
    facts: list[tuple[str, Fields]] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        """Whether work should be under way."""
        return self.status in OPEN

    @property
    def retryable(self) -> bool:
        """Whether a retry could still want the chunks."""
        if self.status == "failed":
            return bool(self.failure and self.failure["retryable"])
        return self.status == "completed" and bool(self.completed and self.completed["gaps"])

    def live(self) -> dict[str, Segment]:
        """Segments that are shown."""
        return {name: segment for name, segment in self.segments.items() if not segment.removed}

    def stands_for(self, speaker_id: str | None) -> str | None:
        """The speaker somebody became by merges."""
        while speaker_id in self.merges:
            speaker_id = self.merges[speaker_id][1]
        return speaker_id

    def called(self, speaker_id: str | None) -> str | None:
        """The name to show for a speaker."""
        who = self.stands_for(speaker_id)
        if who is None:
            return None
        name = self.names.get(who, (0, None))[1]
        label = str(self.speakers[who][1]["label"]) if who in self.speakers else who
        return name or label

    def speakers_seq(self) -> int:
        """The newest fact about any speaker."""
        tables = (self.speakers, self.names, self.merges)
        return max((row[0] for table in tables for row in table.values()), default=0)


def fold(facts: Iterable[tuple[str, Fields]]) -> Job:
    """The job after these facts."""
    job = Job()
    for kind, fact in facts:
        job.seq = fact["seq"]
        job.facts.append((kind, fact))
        _STEPS[kind](job, fact)
    return job


def _state(job: Job, fact: Fields, status: str, stage: str | None, failure: Fields | None = None) -> None:
    job.status, job.stage, job.failure, job.state_seq = status, stage, failure, fact["seq"]


def _accepted(job: Job, fact: Fields) -> None:
    job.job_id, job.tenant_id, job.accepted = fact["job_id"], fact["tenant_id"], fact
    _state(job, fact, "queued", "preparing")


def _audio_ready(job: Job, fact: Fields) -> None:
    job.audio = fact
    _state(job, fact, "processing", "transcribing")


def _chunk_completed(job: Job, fact: Fields) -> None:
    job.chunks[fact["index"]] = fact


def _put(job: Job, fact: Fields) -> None:
    for segment in fact["segments"]:
        job.segments[segment["segment_id"]] = Segment(seq=fact["seq"], removed=False, fields=segment)


def _revised(job: Job, fact: Fields) -> None:
    for name in fact["removed"]:
        job.segments[name] = Segment(seq=fact["seq"], removed=True, fields={})
    _put(job, fact)


def _completed(job: Job, fact: Fields) -> None:
    job.completed = fact
    for speaker in fact["speakers"]:
        job.speakers[speaker["speaker_id"]] = (fact["seq"], speaker)
    _state(job, fact, "completed", "done")


def _named(job: Job, fact: Fields) -> None:
    job.names[fact["speaker_id"]] = (fact["seq"], fact["name"])


def _merged(job: Job, fact: Fields) -> None:
    job.merges[fact["speaker_id"]] = (fact["seq"], fact["into_speaker_id"])


def _retried(job: Job, fact: Fields) -> None:
    job.retried = fact
    _state(job, fact, "processing", "transcribing")


def _failed(job: Job, fact: Fields) -> None:
    _state(job, fact, "failed", fact["stage"], fact)


def _cancelled(job: Job, fact: Fields) -> None:
    _state(job, fact, "cancelled", None)


def _erased(job: Job, fact: Fields) -> None:
    """Nothing of the job is left but that it was."""
    facts, seq = job.facts, fact["seq"]
    for name, value in ((f, getattr(Job(), f)) for f in Job.__dataclass_fields__):
        setattr(job, name, value)
    job.job_id, job.tenant_id, job.seq, job.facts, job.erased = fact["job_id"], fact["tenant_id"], seq, facts, fact
    _state(job, fact, "erased", None)


def _nothing(job: Job, fact: Fields) -> None:
    """It is in the history and changes no view."""


_STEPS = {
    "JobAccepted": _accepted,
    "AudioReady": _audio_ready,
    "ChunkCompleted": _chunk_completed,
    "SegmentsPublished": _put,
    "SegmentsRevised": _revised,
    "TranscriptCompleted": _completed,
    "SpeakerNamed": _named,
    "SpeakersMerged": _merged,
    "JobRetried": _retried,
    "JobFailed": _failed,
    "JobCancelled": _cancelled,
    "JobErased": _erased,
    "RequestRefused": _nothing,
    "FeedbackGiven": _nothing,
}
