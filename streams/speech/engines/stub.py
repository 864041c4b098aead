"""The stub engines: fast, deterministic stand-ins for the models, for tests and for measuring everything else.

In: chunks. Out: words and speaker evidence of the real shapes, made from the chunk's samples and options alone.
They know nothing of speech: digital silence has no words, anything else is five seconds of one voice, then of another.

Tests steer them through the job's vocabulary. A term `stub:ACTION`, followed by any of the conditions, is obeyed
by the chunks that meet all its conditions:

    stub:fail       the chunk ends as ChunkError `stub_failed`
    stub:crash      the process exits at once
    stub:kill-worker  the process kills the worker that started it, and so itself
    stub:hang       the process never answers
    stub:short      the device's memory does not suffice at first
    stub:slow=0.2   the chunk takes that many seconds longer
    stub:rare       the chunk's last word is one that no other samples or options give

    -round=0        only in that round (0 is the first; each retry of a client's is one more)
    -task=asr       only in that task (asr or diarization)
    -from=30000     only chunks whose core starts at or after that millisecond
    -until=60000    only chunks whose core starts before that millisecond

For instance `stub:fail-round=0-task=diarization`.
"""

import hashlib
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from runtime.settings import Speech
from schemas.evidence import SpeakerEvidence
from schemas.values import Passage, Task, Timing, Word
from streams.speech.engines.batching import MEMORY
from streams.speech.engines.protocol import (
    SAMPLE_RATE_HZ,
    ChunkAudio,
    ChunkError,
    Diarization,
    ModelInfo,
    Transcription,
)

WORDS = (
    "amber",
    "basin",
    "cedar",
    "delta",
    "ember",
    "fable",
    "grove",
    "harbor",
    "island",
    "jasper",
    "kettle",
    "lantern",
    "meadow",
    "north",
    "olive",
    "pepper",
)
MIN_WORDS = 4
MAX_WORDS = 12
RARE_LETTERS = 20
WINDOW_MS = 10_000
STEP_MS = 2_000
FRAMES = 589
LOCAL_SPEAKERS = 3
EMBEDDING_VALUES = 192
TURN_MS = 5_000
CRASH_STATUS = 86
_PREFIX = "stub:"
_HANG_S = 86_400.0
_MODEL = "stub"


class StubAsr:
    """Words by the hash of the core's samples and the job's options."""

    def __init__(self, speech: Speech) -> None:
        self._device = speech.device

    def load(self) -> ModelInfo:
        """There is nothing to load."""
        return _info(self._device, aligner=_MODEL)

    def run(self, batch: Sequence[ChunkAudio]) -> list[Transcription | ChunkError]:
        """One outcome per chunk, in order."""
        return [_obeyed(chunk, Task.ASR) or _transcribed(chunk) for chunk in batch]


class StubDiarization:
    """Two voices that take turns of five seconds of the recording, in windows like pyannote's."""

    def __init__(self, speech: Speech) -> None:
        self._device = speech.device
        self._voices = _voices()

    def load(self) -> ModelInfo:
        """There is nothing to load."""
        return _info(self._device)

    def run(self, batch: Sequence[ChunkAudio]) -> list[Diarization | ChunkError]:
        """One outcome per chunk, in order."""
        return [_obeyed(chunk, Task.DIARIZATION) or _diarized(chunk, self._voices) for chunk in batch]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """What a vocabulary term asks the stub to do, and on which chunks."""

    action: str
    argument: str
    conditions: Mapping[str, str]

    def meets(self, chunk: ChunkAudio, task: Task) -> bool:
        """Whether the chunk meets every condition."""
        wanted = self.conditions
        return (
            wanted.get("round", str(chunk.round)) == str(chunk.round)
            and wanted.get("task", task) == task
            and int(wanted.get("from", 0)) <= chunk.start_ms < int(wanted.get("until", chunk.end_ms + 1))
        )


def _orders(vocabulary: Sequence[str]) -> Iterator[_Order]:
    for term in vocabulary:
        if term.startswith(_PREFIX):
            action, *conditions = term.removeprefix(_PREFIX).split("-")
            name, _, argument = action.partition("=")
            pairs = (condition.partition("=") for condition in conditions)
            yield _Order(action=name, argument=argument, conditions={key: value for key, _, value in pairs})


def _obeyed(chunk: ChunkAudio, task: Task) -> ChunkError | None:
    for order in _orders(chunk.options.vocabulary):
        if not order.meets(chunk, task):
            continue
        if order.action == "fail":
            return ChunkError(code="stub_failed", message="The stub engine was told to fail.")
        if order.action == "crash":
            os._exit(CRASH_STATUS)
        if order.action == "kill":
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(_HANG_S)
        if order.action == "short":
            MEMORY.short(_MODEL, 2)
        if order.action in ("slow", "hang"):
            time.sleep(float(order.argument or _HANG_S))
    return None


def _info(device: str, aligner: str = "") -> ModelInfo:
    return ModelInfo(
        engine="stub",
        engine_version="1",
        model=_MODEL,
        model_sha256="",
        device=device,
        compute_type="none",
        aligner=aligner,
    )


def _transcribed(chunk: ChunkAudio) -> Transcription:
    core = chunk.core()
    length_ms = chunk.end_ms - chunk.start_ms
    if not core.any() or length_ms < 1:
        return Transcription(passages=())
    seed = hashlib.sha256(core.tobytes() + msgspec.json.encode(chunk.options)).digest()
    count = min(MIN_WORDS + seed[0] % (MAX_WORDS - MIN_WORDS + 1), length_ms)
    edges = [chunk.start_ms + length_ms * n // count for n in range(count + 1)]
    said = [WORDS[seed[n + 1] % len(WORDS)] for n in range(count)]
    if any(order.action == "rare" and order.meets(chunk, Task.ASR) for order in _orders(chunk.options.vocabulary)):
        said[-1] = f"q{seed.hex()[-RARE_LETTERS:]}"
    words = tuple(
        Word(
            text=said[n],
            start_ms=edges[n],
            end_ms=edges[n + 1],
            confidence=0.5 + seed[n + 1] / 512,
            timing=Timing.ALIGNED,
        )
        for n in range(count)
    )
    return _of_words(chunk, words)


def _of_words(chunk: ChunkAudio, words: tuple[Word, ...]) -> Transcription:
    language = chunk.options.language or "en"
    passage = Passage(
        start_ms=chunk.start_ms,
        end_ms=chunk.end_ms,
        text=" ".join(word.text for word in words),
        language=language,
        language_probability=0.99,
        avg_logprob=-0.2,
        no_speech_probability=0.01,
        compression_ratio=1.2,
        temperature=0.0,
        words=words,
    )
    return Transcription(passages=(passage,), language=language, language_probability=0.99)


def _voices() -> NDArray[np.float32]:
    """Two unit vectors, the same in every process."""
    raw = np.random.default_rng(7).standard_normal((2, EMBEDDING_VALUES)).astype(np.float32)
    unit: NDArray[np.float32] = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    return unit


def _diarized(chunk: ChunkAudio, voices: NDArray[np.float32]) -> Diarization:
    end_ms = chunk.object_start_ms + len(chunk.samples) * 1000 // SAMPLE_RATE_HZ
    last_ms = max(chunk.object_start_ms + 1, end_ms - WINDOW_MS + STEP_MS)
    starts = np.arange(chunk.object_start_ms, last_ms, STEP_MS, dtype=np.int64)
    frames_ms = starts[:, None] + (np.arange(FRAMES) + 0.5) * WINDOW_MS / FRAMES
    heard = (frames_ms < end_ms) & bool(chunk.samples.any())
    turn = frames_ms // TURN_MS % 2
    # Local numbers mean nothing outside a window: from one window to the next the two voices change places.
    local = np.arange(len(starts))[:, None] % 2
    activity = np.zeros((len(starts), FRAMES, LOCAL_SPEAKERS), np.bool_)
    activity[:, :, 0] = heard & (turn == local)
    activity[:, :, 1] = heard & (turn != local)
    clean_s = (activity.sum(axis=1) * (WINDOW_MS / FRAMES / 1000)).astype(np.float32)
    embeddings = np.full((len(starts), LOCAL_SPEAKERS, EMBEDDING_VALUES), np.nan, np.float32)
    embeddings[:, 0] = voices[local[:, 0]]
    embeddings[:, 1] = voices[1 - local[:, 0]]
    embeddings[clean_s == 0] = np.nan
    evidence = SpeakerEvidence(
        window_start_ms=starts,
        window_ms=WINDOW_MS,
        activity=activity,
        embeddings=embeddings,
        clean_s=clean_s,
        embedding_model=_MODEL,
        segmentation_model=_MODEL,
    )
    speech_ms = chunk.end_ms - chunk.start_ms if chunk.core().any() else 0
    return Diarization(evidence=evidence, speech_ms=speech_ms)
