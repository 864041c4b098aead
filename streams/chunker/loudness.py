"""Loudness evened causally: what is heard so far decides the gain, so that cutting never waits for the end.

In: 16 kHz mono samples in blocks of any size. Out: as many samples, and beside them the same with their loudness
over 3 s led to -20 dBFS by a gain within ±20 dB that moves at most 1 dB/s. The same samples give the same result,
however they are split into blocks.
Hops that hold no more than a noise floor are not heard, and where nothing is heard the gain stays: pauses are not
raised. Knows no file and no chunk.
"""

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streams.chunker.cut import SAMPLE_RATE_HZ, Evened, Samples

HOP_MS = 20
_HOP_SAMPLES = SAMPLE_RATE_HZ * HOP_MS // 1000
_FULL_SCALE = 32_768.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoudnessPolicy:
    """The rules of levelling."""

    target_dbfs: float = -20.0
    window_ms: int = 3_000
    max_gain_db: float = 20.0
    db_per_s: float = 1.0
    noise_floor_dbfs: float = -55.0


class Leveler:
    """Takes samples as they come; holds back less than one hop of 20 ms."""

    def __init__(self, policy: LoudnessPolicy | None = None) -> None:
        self._policy = policy or LoudnessPolicy()
        self._rest: Samples = np.zeros(0, np.int16)
        self._window: deque[float] = deque(maxlen=self._policy.window_ms // HOP_MS)
        # Sums of squares are whole numbers below 2**53, so adding and taking away leaves no rounding behind.
        self._energy = 0.0
        self._heard_hops = 0
        self._floor = _HOP_SAMPLES * (_FULL_SCALE * 10 ** (self._policy.noise_floor_dbfs / 20)) ** 2
        self._gain_db = 0.0

    def feed(self, samples: Samples) -> Evened:
        """The recorded and levelled samples of all hops that are complete."""
        held = np.concatenate((self._rest, samples)) if len(self._rest) else samples
        whole = len(held) // _HOP_SAMPLES * _HOP_SAMPLES
        self._rest = held[whole:].copy()
        return self._level(held[:whole].reshape(-1, _HOP_SAMPLES))

    def finish(self) -> Evened:
        """The recorded and levelled samples of the last, shorter hop."""
        rest, self._rest = self._rest, np.zeros(0, np.int16)
        return self._level(rest.reshape(1, -1)) if len(rest) else np.zeros((2, 0), np.int16)

    def _level(self, hops: Samples) -> Evened:
        loud = hops.astype(np.float64)
        energies = np.einsum("ij,ij->i", loud, loud).tolist()
        gains = np.array([self._next_gain(energy) for energy in energies], np.float64)
        loud *= gains[:, np.newaxis]
        levelled: NDArray[np.float64] = np.clip(np.rint(loud, out=loud), -_FULL_SCALE, _FULL_SCALE - 1, out=loud)
        return np.stack((hops.reshape(-1), levelled.astype(np.int16).reshape(-1)))

    def _next_gain(self, energy: float) -> float:
        """The factor for a hop, which counts as heard."""
        if len(self._window) == self._window.maxlen:
            self._hear(self._window[0], -1)
        heard = energy if energy >= self._floor else 0.0
        self._window.append(heard)
        self._hear(heard, 1)
        if self._heard_hops:
            loudness_dbfs = 10 * math.log10(self._energy / (self._heard_hops * _HOP_SAMPLES * _FULL_SCALE**2))
            self._gain_db += self._step(loudness_dbfs)
        return float(10 ** (self._gain_db / 20))

    def _hear(self, energy: float, sign: int) -> None:
        if energy:
            self._energy += sign * energy
            self._heard_hops += sign

    def _step(self, loudness_dbfs: float) -> float:
        """How far the gain moves within a hop."""
        policy = self._policy
        wanted = min(max(policy.target_dbfs - loudness_dbfs, -policy.max_gain_db), policy.max_gain_db)
        most = policy.db_per_s * HOP_MS / 1000
        return min(max(wanted - self._gain_db, -most), most)
