"""Facts of made-up jobs, numbered as the assembler numbers them."""

from collections.abc import Sequence
from typing import Any, TypeVar
from uuid import UUID

from schemas import records
from schemas.identity import event_id
from schemas.records import TranscriptRecord
from schemas.values import (
    Gap,
    JobWarning,
    Lane,
    MediaInfo,
    ModelRun,
    PlannedChunk,
    RequestKind,
    Segment,
    Speaker,
    StoredObject,
    Timing,
    TranscriptionOptions,
    Word,
)

TENANT = "acme"
BORN_MS = 1_750_000_000_000
STEP_MS = 1_000
CHUNK_MS = 30_000
F = TypeVar("F", bound=TranscriptRecord)
STORED = StoredObject(key="acme/job/audio", size_bytes=1_000, sha256="ab" * 32)
RUN = ModelRun(
    engine="stub",
    engine_version="1",
    model="stub",
    model_sha256="",
    device="cpu",
    compute_type="int8",
    batch_size=1,
    aligner="none",
    options={},
    elapsed_ms=1,
)


def job_id(number: int) -> str:
    """The id of the numbered job."""
    return str(UUID(int=number))


def spoken(text: str, start_ms: int, end_ms: int, speaker_id: str | None = None) -> tuple[Word, ...]:
    """The words of a text, spread evenly."""
    parts = text.split()
    each_ms = (end_ms - start_ms) // max(1, len(parts))
    return tuple(
        Word(
            text=part,
            start_ms=start_ms + i * each_ms,
            end_ms=start_ms + (i + 1) * each_ms,
            confidence=0.9,
            speaker_id=speaker_id,
            timing=Timing.ALIGNED,
        )
        for i, part in enumerate(parts)
    )


def segment(segment_id: str, text: str, start_ms: int = 0, speaker_id: str | None = "spk1") -> Segment:
    """A segment of four seconds."""
    return Segment(
        segment_id=segment_id,
        start_ms=start_ms,
        end_ms=start_ms + 4_000,
        speaker_id=speaker_id,
        language="en",
        text=text,
        confidence=0.9,
        words=spoken(text, start_ms, start_ms + 4_000, speaker_id),
    )


class Job:
    """Writes the history of one job; `facts` holds it in order."""

    def __init__(self, number: int, tenant_id: str = TENANT) -> None:
        self.job_id = job_id(number)
        self.tenant_id = tenant_id
        self.facts: list[TranscriptRecord] = []

    @property
    def next_seq(self) -> int:
        """The number of the next fact."""
        return len(self.facts) + 1

    def fact(self, kind: type[F], **fields: Any) -> F:
        """Appends a fact of any kind."""
        seq = self.next_seq
        made = kind(
            event_id=event_id(self.job_id, kind.__name__, seq),
            job_id=self.job_id,
            tenant_id=self.tenant_id,
            actor=fields.pop("actor", "assembler"),
            occurred_at=BORN_MS + seq * STEP_MS,
            cause_id=fields.pop("cause_id", event_id(self.job_id, "cause", seq)),
            seq=seq,
            **fields,
        )
        self.facts.append(made)
        return made

    def accepted(self, file_name: str | None = "talk.wav", **options: Any) -> None:
        """The job exists."""
        self.fact(
            records.JobAccepted,
            audio=STORED,
            file_name=file_name,
            media_type="audio/wav",
            options=TranscriptionOptions(**options),
            lane=Lane.INTERACTIVE,
        )

    def audio_ready(self, chunks: int) -> None:
        """A plan of so many chunks."""
        self.fact(
            records.AudioReady,
            duration_ms=chunks * CHUNK_MS,
            media=MediaInfo(container="wav", codec="pcm_s16le", sample_rate_hz=16_000, channels=1),
            cutter="1",
            lane=Lane.BATCH,
            chunks=tuple(
                PlannedChunk(
                    index=i, start_ms=i * CHUNK_MS, end_ms=(i + 1) * CHUNK_MS, object_start_ms=0, object=STORED
                )
                for i in range(chunks)
            ),
        )

    def chunk(self, index: int, text: str = "so it goes", round_: int = 0, failed: bool = False) -> None:
        """A chunk is answered."""
        self.fact(
            records.ChunkCompleted,
            index=index,
            round=round_,
            start_ms=index * CHUNK_MS,
            end_ms=(index + 1) * CHUNK_MS,
            language=None if failed else "en",
            text="" if failed else text,
            failed=(gap(index),) if failed else (),
            warnings=() if index else (JobWarning(code="noisy", message="Much noise."),),
            made_by=(RUN,),
        )

    def published(self, segments: Sequence[Segment], round_: int = 0) -> None:
        """Segments of the transcript."""
        self.fact(records.SegmentsPublished, round=round_, segments=tuple(segments))

    def completed(self, speakers: Sequence[str] = ("spk1",), round_: int = 0, gaps: Sequence[Gap] = ()) -> None:
        """The transcript is whole."""
        self.fact(
            records.TranscriptCompleted,
            round=round_,
            duration_ms=60_000,
            language="en",
            speakers=tuple(
                Speaker(speaker_id=each, label=f"Speaker {each.removeprefix('spk')}", speech_ms=1_000 * (round_ + 1))
                for each in speakers
            ),
            segment_count=1,
            word_count=3,
            gaps=tuple(gaps),
        )

    def refused(self, code: str = "stale_revision", **fields: Any) -> None:
        """A request was not carried out."""
        self.fact(records.RequestRefused, request=RequestKind.CORRECTION, code=code, message="Too late.", **fields)

    def erased(self) -> None:
        """The job is forgotten."""
        self.fact(records.JobErased, erased_facts=len(self.facts))


def gap(index: int) -> Gap:
    """A span without a result."""
    return Gap(index=index, start_ms=index * CHUNK_MS, end_ms=(index + 1) * CHUNK_MS, code="engine_failed")


def conversation(number: int = 1, tenant_id: str = TENANT) -> Job:
    """A finished job of two speakers and three segments, in two chunks."""
    job = Job(number, tenant_id)
    job.accepted()
    job.audio_ready(2)
    job.chunk(0, "the quick brown fox")
    job.chunk(1, "jumps over")
    job.published(
        [
            segment("s5-1", "The quick brown fox", 0, "spk1"),
            segment("s5-2", "jumps over the lazy dog.", 5_000, "spk2"),
            segment("s5-3", "Nobody knows why.", 10_000, None),
        ]
    )
    job.completed(["spk1", "spk2"])
    return job
