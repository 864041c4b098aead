"""From chunks to speaker evidence: who is heard in each window, and what each voice is like.

In: chunks with their margins, and loaded models. Out: evidence per chunk. Nobody is told apart here beyond one window:
that is done once for the whole recording, by the assembler.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from schemas.evidence import SpeakerEvidence
from streams.speech.engines import voices
from streams.speech.engines.batching import in_batches
from streams.speech.engines.campplus import DIMENSION, Features, SpeakerEmbedding
from streams.speech.engines.protocol import ChunkAudio, Diarization
from streams.speech.engines.pyannet import FIRST_FRAME_CENTRE_SAMPLES, FRAME_STEP_SAMPLES, PyanNet
from streams.speech.engines.sliding import cut_windows, window_starts
from streams.speech.engines.spans import SAMPLES_PER_MS, Span

WINDOW_MS = 10_000
WINDOW_SAMPLES = WINDOW_MS * SAMPLES_PER_MS
STEP_SAMPLES = 2_000 * SAMPLES_PER_MS
VOICE_MIN_S = 0.3  # less of a voice says little about it

SEGMENTATION_MODEL = "pyannote/segmentation-3.0"
EMBEDDING_MODEL = "3D-Speaker CAM++ zh-en common"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heard:
    """Who speaks in the windows of one chunk."""

    starts: list[int]
    activity: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Voice:
    """One local speaker of one window of one chunk."""

    place: int
    window: int
    speaker: int
    features: Features


class Diarizer:
    """Runs batches of chunks through the two models."""

    def __init__(self, network: PyanNet, embedding: SpeakerEmbedding, device: str, batch_size: int) -> None:
        self._network = network
        self._embedding = embedding
        self._device = device
        self._batch_size = batch_size

    def run(self, batch: Sequence[ChunkAudio]) -> list[Diarization]:
        """The evidence of each chunk, in order; windows and voices of all chunks share batches."""
        heard = self._segmented(batch)
        found = [
            voice for place, chunk in enumerate(batch) for voice in self._voices(place, chunk.samples, heard[place])
        ]
        vectors = self._embedding.embed([voice.features for voice in found], self._batch_size)
        embeddings = [np.full((len(one.starts), voices.LOCAL_SPEAKERS, DIMENSION), np.nan, np.float32) for one in heard]
        for voice, vector in zip(found, vectors, strict=True):
            embeddings[voice.place][voice.window, voice.speaker] = vector
        return [_diarization(chunk, one, rows) for chunk, one, rows in zip(batch, heard, embeddings, strict=True)]

    def _segmented(self, batch: Sequence[ChunkAudio]) -> list[Heard]:
        starts = [window_starts(len(chunk.samples), WINDOW_SAMPLES, STEP_SAMPLES) for chunk in batch]
        cut = [
            window
            for chunk, at in zip(batch, starts, strict=True)
            for window in cut_windows(chunk.samples, at, WINDOW_SAMPLES)
        ]
        activity = iter(in_batches(cut, self._batch_size, self._activity))
        heard: list[Heard] = []
        for chunk, at in zip(batch, starts, strict=True):
            mine = np.stack([next(activity) for _ in at])
            mine[:, _frames_of(mine, len(chunk.samples)) :] = False
            heard.append(Heard(starts=at, activity=mine))
        return heard

    def _activity(self, windows: Sequence[NDArray[np.float32]]) -> list[NDArray[np.bool_]]:
        with torch.inference_mode():
            scores = self._network(torch.from_numpy(np.stack(windows)).to(self._device))
        return list(voices.speakers_of(scores.float().cpu().numpy()))

    def _voices(self, place: int, sound: NDArray[np.float32], heard: Heard) -> list[Voice]:
        if not heard.activity.any():
            return []
        features = self._embedding.features(sound)
        found: list[Voice] = []
        least = round(VOICE_MIN_S / voices.seconds(1, FRAME_STEP_SAMPLES))
        telling = voices.telling(heard.activity, least)
        for window, (start, told) in enumerate(zip(heard.starts, telling, strict=True)):
            for speaker in np.flatnonzero(told.any(axis=0)).tolist():
                frames = voices.feature_frames(
                    told[:, speaker], start, FRAME_STEP_SAMPLES, FIRST_FRAME_CENTRE_SAMPLES, len(features)
                )
                if len(frames):
                    found.append(Voice(place=place, window=window, speaker=speaker, features=features[frames]))
        return found


def _frames_of(activity: NDArray[np.bool_], sound_samples: int) -> int:
    """How many frames of the windows hold sound: all, unless the chunk is shorter than one window."""
    return voices.frames_heard(activity.shape[1], FRAME_STEP_SAMPLES, FIRST_FRAME_CENTRE_SAMPLES, sound_samples)


def _seconds(clean: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Seconds per speaker, of frames (…, frame, speaker)."""
    seconds: NDArray[np.float32] = (clean.sum(axis=-2) * voices.seconds(1, FRAME_STEP_SAMPLES)).astype(np.float32)
    return seconds


def _diarization(chunk: ChunkAudio, heard: Heard, embeddings: NDArray[np.float32]) -> Diarization:
    core = Span(start_ms=chunk.start_ms, end_ms=chunk.end_ms).shifted(-chunk.object_start_ms)
    starts_ms = np.asarray(heard.starts, np.int64) // SAMPLES_PER_MS + chunk.object_start_ms
    return Diarization(
        evidence=SpeakerEvidence(
            window_start_ms=starts_ms,
            window_ms=WINDOW_MS,
            activity=heard.activity,
            embeddings=embeddings,
            clean_s=_seconds(voices.alone(heard.activity)),
            embedding_model=EMBEDDING_MODEL,
            segmentation_model=SEGMENTATION_MODEL,
        ),
        speech_ms=voices.speech_ms(heard.activity, heard.starts, core, WINDOW_MS),
    )
