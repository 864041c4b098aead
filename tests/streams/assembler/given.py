"""Inputs of a job, as the other processes would write them: two chunks of half a minute, or as many as a test says."""

import hashlib
from collections.abc import Sequence
from uuid import NAMESPACE_URL, uuid5

import numpy as np

from schemas import records
from schemas.evidence import SpeakerEvidence
from schemas.identity import event_id
from schemas.values import (
    Lane,
    MediaInfo,
    ModelRun,
    Passage,
    PlannedChunk,
    StoredObject,
    Task,
    Timing,
    TranscriptionOptions,
    Word,
)

CHUNK_MS = 30_000
MARGIN_MS = 5_000
WINDOW_MS = 10_000
FRAMES = 589
MADE_BY = ModelRun(
    engine="stub",
    engine_version="1",
    model="none",
    model_sha256="",
    device="cpu",
    compute_type="int8",
    batch_size=1,
    aligner="",
    options={},
    elapsed_ms=1,
)


def sha256(text: str) -> str:
    """Any stable sha256."""
    return hashlib.sha256(text.encode()).hexdigest()


class Inputs:
    """Writes the inputs of one job; ids follow from what the input is about, so the same input twice is a repetition.

    As with the chunker and the speech workers, another `cut` of the same upload has the same ids.
    """

    def __init__(self, name: str = "job", tenant_id: str = "tenant", chunks: int = 2, cut: str = "a") -> None:
        self.job_id = str(uuid5(NAMESPACE_URL, name))
        self.tenant_id = tenant_id
        self.chunks = chunks
        self.cut = cut
        self.clock = 1_700_000_000_000

    def head(self, what: str, actor: str = "somebody") -> dict[str, object]:
        """Fields of every event; `what` tells events of one kind apart."""
        self.clock += 1
        cause = f"{self.job_id}/{what}"
        return {
            "event_id": event_id(cause, "given"),
            "job_id": self.job_id,
            "tenant_id": self.tenant_id,
            "actor": actor,
            "occurred_at": self.clock,
            "cause_id": cause,
        }

    def upload(self, options: TranscriptionOptions | None = None) -> records.UploadReceived:
        return records.UploadReceived(
            **self.head("upload"),  # type: ignore[arg-type]
            audio=StoredObject(key=f"{self.tenant_id}/{self.job_id}/audio", size_bytes=1, sha256=sha256("audio")),
            file_name="call.wav",
            options=options or TranscriptionOptions(),
        )

    def planned(self, index: int) -> PlannedChunk:
        return PlannedChunk(
            index=index,
            start_ms=index * CHUNK_MS,
            end_ms=(index + 1) * CHUNK_MS,
            object_start_ms=max(0, index * CHUNK_MS - MARGIN_MS),
            object=StoredObject(key=f"chunk-{index}", size_bytes=1, sha256=self.chunk_sha256(index)),
        )

    def chunk_sha256(self, index: int) -> str:
        return sha256(f"{self.job_id}/{self.cut}/{index}")

    def prepared(self) -> records.AudioPrepared:
        return records.AudioPrepared(
            **self.head("prepared"),  # type: ignore[arg-type]
            duration_ms=self.chunks * CHUNK_MS,
            media=MediaInfo(container="wav", codec="pcm_s16le", sample_rate_hz=16_000, channels=1),
            cutter="1",
            lane=Lane.INTERACTIVE,
            chunks=tuple(self.planned(index) for index in range(self.chunks)),
        )

    def rejected(self, code: str = "not_audio") -> records.AudioRejected:
        return records.AudioRejected(**self.head("rejected"), code=code, message="This is no audio.")  # type: ignore[arg-type]

    def transcribed(
        self, index: int, round_: int = 0, words: str = "Hello there. How are you?"
    ) -> records.ChunkTranscribed:
        start = index * CHUNK_MS + 1_000
        return records.ChunkTranscribed(
            **self.head(f"asr/{index}/{round_}"),  # type: ignore[arg-type]
            index=index,
            round=round_,
            chunk_sha256=self.chunk_sha256(index),
            language="en",
            language_probability=0.9,
            passages=(passage(words, start),) if words else (),
            made_by=MADE_BY,
        )

    def diarized(self, index: int, round_: int = 0, evidence: StoredObject | None = None) -> records.ChunkDiarized:
        return records.ChunkDiarized(
            **self.head(f"diarization/{index}/{round_}"),  # type: ignore[arg-type]
            index=index,
            round=round_,
            chunk_sha256=self.chunk_sha256(index),
            evidence=evidence or StoredObject(key=f"evidence-{index}", size_bytes=1, sha256=sha256("evidence")),
            speech_ms=1_000,
            made_by=MADE_BY,
        )

    def failed(
        self, index: int, task: Task = Task.ASR, round_: int = 0, *, retryable: bool = True
    ) -> records.ChunkFailed:
        return records.ChunkFailed(
            **self.head(f"failed/{task.value}/{index}/{round_}"),  # type: ignore[arg-type]
            index=index,
            round=round_,
            chunk_sha256=self.chunk_sha256(index),
            task=task,
            code="engine_crashed",
            message="The model crashed.",
            retryable=retryable,
            tries=3,
        )

    def cancelled(self) -> records.CancellationRequested:
        return records.CancellationRequested(**self.head("cancel"), reason="enough")  # type: ignore[arg-type]

    def retried(self, n: int = 1) -> records.RetryRequested:
        return records.RetryRequested(**self.head(f"retry/{n}"))  # type: ignore[arg-type]

    def erased(self, n: int = 1) -> records.ErasureRequested:
        return records.ErasureRequested(**self.head(f"erase/{n}"))  # type: ignore[arg-type]

    def stalled(self, as_of_seq: int | None = None) -> records.DeadlinePassed:
        return records.DeadlinePassed(**self.head("deadline"), deadline="stalled", as_of_seq=as_of_seq)  # type: ignore[arg-type]

    def feedback(self, rating: int = 5) -> records.FeedbackSubmitted:
        return records.FeedbackSubmitted(**self.head(f"feedback/{rating}"), rating=rating)  # type: ignore[arg-type]

    def named(self, speaker_id: str, name: str | None) -> records.SpeakerNameSubmitted:
        head = self.head(f"name/{speaker_id}/{name}")
        return records.SpeakerNameSubmitted(**head, speaker_id=speaker_id, name=name)  # type: ignore[arg-type]

    def merged(self, speaker_id: str, into: str) -> records.SpeakerMergeSubmitted:
        head = self.head(f"merge/{speaker_id}/{into}")
        return records.SpeakerMergeSubmitted(**head, speaker_id=speaker_id, into_speaker_id=into)  # type: ignore[arg-type]


def passage(text: str, start_ms: int, language: str = "en", word_ms: int = 300) -> Passage:
    """A passage of evenly spaced words."""
    words = tuple(
        Word(
            text=token,
            start_ms=start_ms + n * word_ms,
            end_ms=start_ms + (n + 1) * word_ms - 50,
            confidence=0.9,
            timing=Timing.ALIGNED,
        )
        for n, token in enumerate(text.split())
    )
    return Passage(
        start_ms=start_ms,
        end_ms=start_ms + len(words) * word_ms,
        text=text,
        language=language,
        language_probability=0.9,
        avg_logprob=-0.2,
        no_speech_probability=0.0,
        compression_ratio=1.2,
        temperature=0.0,
        words=words,
    )


def evidence(
    spans: Sequence[tuple[int, int, int]], start_ms: int, end_ms: int, *, step_ms: int = 2_000, seed: int = 0
) -> SpeakerEvidence:
    """What a diarizer would find of speakers (start, end, who) in a piece of audio: numbers at random, noisy voices."""
    random = np.random.default_rng(seed)
    voices = np.random.default_rng(1).normal(size=(8, 192))
    voices /= np.linalg.norm(voices, axis=1, keepdims=True)
    starts = np.arange(start_ms, max(start_ms + 1, end_ms - WINDOW_MS + 1), step_ms)
    activity = np.zeros((len(starts), FRAMES, 3), dtype=np.bool_)
    embeddings = np.full((len(starts), 3, 192), np.nan, dtype=np.float32)
    frame_ms = WINDOW_MS / FRAMES
    for n, start in enumerate(starts):
        near = [span for span in spans if span[0] < start + WINDOW_MS and span[1] > start]
        here = sorted({who for _, _, who in near})[:3]
        for local, who in zip(random.permutation(3), here, strict=False):
            for a, b, speaker in near:
                if speaker == who:
                    first, last = round((a - start) / frame_ms), round((b - start) / frame_ms)
                    activity[n, max(0, first) : max(0, last), local] = True
            noise = random.normal(size=192)
            embeddings[n, local] = voices[who] + 0.25 * noise / np.linalg.norm(noise)
    alone = activity & (activity.sum(axis=2, keepdims=True) == 1)
    clean_s = (alone.sum(axis=1) * frame_ms / 1000).astype(np.float32)
    embeddings[clean_s < 0.3] = np.nan
    return SpeakerEvidence(
        window_start_ms=starts.astype(np.int64),
        window_ms=WINDOW_MS,
        activity=activity,
        embeddings=embeddings,
        clean_s=clean_s,
        embedding_model="stub",
        segmentation_model="stub",
    )
