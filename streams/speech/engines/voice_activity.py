"""Voice activity: sound in, a speech probability per frame out.

In: clips of any length, and pyannote's segmentation network with WhisperX's weights. Out: SpeechScores of each clip.
Knows no thresholds, and nothing of the recogniser.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from streams.speech.engines.pyannet import (
    FIRST_FRAME_CENTRE_SAMPLES,
    FRAME_STEP_SAMPLES,
    PyanNet,
    frame_count,
)
from streams.speech.engines.sliding import cut_windows, window_starts
from streams.speech.engines.spans import SAMPLES_PER_MS
from streams.speech.engines.windows import SpeechScores

WINDOW_SAMPLES = 5 * 16_000
STEP_SAMPLES = 2 * 16_000  # WhisperX steps 0.5 s: four times the work for 0.7 % of the frames
BATCH_WINDOWS = 32


class VoiceActivity:
    """Finds speech with a network that was trained on 5 s at a time."""

    def __init__(self, network: PyanNet, device: str) -> None:
        self._network = network
        self._device = device

    def scores(self, clips: Sequence[NDArray[np.float32]]) -> list[SpeechScores]:
        """Speech probabilities of each clip; windows of all clips share batches."""
        starts = [window_starts(len(clip), WINDOW_SAMPLES, STEP_SAMPLES) for clip in clips]
        cut = [cut_windows(clip, at, WINDOW_SAMPLES) for clip, at in zip(clips, starts, strict=True)]
        if not cut:
            return []
        speech = self._speech(np.concatenate(cut))
        out: list[SpeechScores] = []
        for clip, at in zip(clips, starts, strict=True):
            mine, speech = speech[: len(at)], speech[len(at) :]
            out.append(stitch(mine, at, len(clip)))
        return out

    def _speech(self, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
        """The likeliest of the network's voices at each frame (window, frame)."""
        parts = []
        with torch.inference_mode():
            for first in range(0, len(waveforms), BATCH_WINDOWS):
                batch = torch.from_numpy(waveforms[first : first + BATCH_WINDOWS])
                scores = torch.sigmoid(self._network(batch.to(self._device)))
                parts.append(scores.amax(dim=-1).cpu().numpy())
        return np.concatenate(parts)


def stitch(speech: NDArray[np.float32], starts: Sequence[int], samples: int) -> SpeechScores:
    """One row of frames for the clip: where windows overlap, their mean, the middle of a window weighing most."""
    length = max(1, frame_count(max(samples, WINDOW_SAMPLES)))
    total = np.zeros(length)
    weight = np.zeros(length)
    taper = np.hamming(speech.shape[1])
    for row, start in zip(speech, starts, strict=True):
        first = round(start / FRAME_STEP_SAMPLES)
        count = min(len(row), length - first)
        total[first : first + count] += row[:count] * taper[:count]
        weight[first : first + count] += taper[:count]
    centre = np.arange(length) * FRAME_STEP_SAMPLES + FIRST_FRAME_CENTRE_SAMPLES
    heard = (weight > 0) & (centre < samples)
    return SpeechScores(
        values=(total[heard] / weight[heard]).astype(np.float32),
        centre_ms=centre[heard] / SAMPLES_PER_MS,
    )
