"""Where a recording is cut: at silence near the end of a 30 s window, else at the quietest point.

In: 16 kHz mono samples, as recorded and with loudness evened, in blocks of any size. Out: chunks in order, each with
its margins, covering the recording without gap or overlap. The same samples give the same cuts, however they are split
into blocks. Evened loudness says where silence is, and no more: a chunk holds what was recorded. Models bring sound to
a level of their own, and a gain that moves beneath them costs words and speakers.
Knows no file, no codec and no event. Memory holds one window and its margins.

A cut is decided when the audio is decoded to a margin past the window's end, or to the recording's end; so the margin
after the chunk is always there when it is cut, and a recording that ends within the margin is shared out between the
last two chunks instead of leaving a scrap.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Part of every plan: another version may cut elsewhere, and chunks of two cuts must not be mixed.
CUTTER = "palimpsest-silence-2"
SAMPLE_RATE_HZ = 16_000
SAMPLES_PER_MS = SAMPLE_RATE_HZ // 1000
FRAME_MS = 10
_FRAME_SAMPLES = FRAME_MS * SAMPLES_PER_MS
_FULL_SCALE = 32_768.0
# Beyond this, a longer silence is no better a place; of such the latest is taken.
_LONG_SILENCE_MS = 1_000

Samples = NDArray[np.int16]
Evened = NDArray[np.int16]  # two rows: samples as recorded, and with their loudness evened


@dataclass(frozen=True, slots=True, kw_only=True)
class CutPolicy:
    """The rules of cutting; spans in ms, multiples of a frame."""

    window_ms: int = 30_000
    search_ms: int = 10_000
    silence_ms: int = 500
    silence_dbfs: float = -40.0
    kept_ms: int = 200
    margin_ms: int = 5_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chunk:
    """A chunk: its core from `start_ms` to `end_ms`, and samples from `object_start_ms` on that include the margins."""

    index: int
    start_ms: int
    end_ms: int
    object_start_ms: int
    samples: Samples


class Cutter:
    """Takes samples as they come and gives each chunk as soon as it can be cut."""

    def __init__(self, policy: CutPolicy | None = None) -> None:
        self._policy = policy or CutPolicy()
        self._blocks: list[Evened] = []
        self._first = 0  # position in the recording of the first sample held
        self._held = 0
        self._start_ms = 0
        self._index = 0

    def feed(self, samples: Evened) -> list[Chunk]:
        """The chunks that these samples complete."""
        self._blocks.append(samples)
        self._held += samples.shape[1]
        chunks = []
        ahead_ms = self._policy.window_ms + self._policy.margin_ms
        while self._available() >= ahead_ms * SAMPLES_PER_MS:
            chunks.append(self._cut(ahead_ms))
        return chunks

    def finish(self) -> list[Chunk]:
        """The remaining chunks; the recording is padded with zeros to a whole millisecond."""
        padding = -(self._first + self._held) % SAMPLES_PER_MS
        chunks = self.feed(np.zeros((2, padding), np.int16))
        if (rest_ms := self._available() // SAMPLES_PER_MS) > self._policy.window_ms:
            chunks.append(self._cut(rest_ms))
        if rest_ms := self._available() // SAMPLES_PER_MS:
            chunks.append(self._take(self._start_ms + rest_ms))
        return chunks

    def _available(self) -> int:
        """Samples decoded from the window's start on."""
        return self._first + self._held - self._start_ms * SAMPLES_PER_MS

    def _cut(self, available_ms: int) -> Chunk:
        """The next chunk, when `available_ms` are known from its start on."""
        latest_ms = min(self._policy.window_ms, available_ms - self._policy.margin_ms) // FRAME_MS * FRAME_MS
        earliest_ms = max(latest_ms - self._policy.search_ms, FRAME_MS)
        _, evened = self._joined()
        zone_start = (self._start_ms + earliest_ms) * SAMPLES_PER_MS - self._first
        zone = evened[zone_start : zone_start + (latest_ms - earliest_ms) * SAMPLES_PER_MS]
        return self._take(self._start_ms + earliest_ms + choose_cut(frame_energies(zone), self._policy) * FRAME_MS)

    def _take(self, end_ms: int) -> Chunk:
        """Cuts at `end_ms` and lets go of what no later chunk needs."""
        held = self._joined()
        margin_ms = self._policy.margin_ms
        object_start_ms = max(0, self._start_ms - margin_ms)
        first = object_start_ms * SAMPLES_PER_MS - self._first
        chunk = Chunk(
            index=self._index,
            start_ms=self._start_ms,
            end_ms=end_ms,
            object_start_ms=object_start_ms,
            samples=held[0, first : (end_ms + margin_ms) * SAMPLES_PER_MS - self._first],
        )
        let_go = max(0, (end_ms - margin_ms) * SAMPLES_PER_MS - self._first)
        # A copy, so that the chunk's samples are not kept alive by what is held.
        self._blocks = [held[:, let_go:].copy()]
        self._first += let_go
        self._held -= let_go
        self._start_ms = end_ms
        self._index += 1
        return chunk

    def _joined(self) -> Evened:
        if len(self._blocks) != 1:
            self._blocks = [np.concatenate(self._blocks, axis=1)] if self._blocks else [np.zeros((2, 0), np.int16)]
        return self._blocks[0]


def frame_energies(samples: Samples) -> NDArray[np.int64]:
    """Sum of squares of each whole frame of 10 ms: integers, so that no order of adding can change them."""
    frames = samples[: len(samples) // _FRAME_SAMPLES * _FRAME_SAMPLES].reshape(-1, _FRAME_SAMPLES)
    energies: NDArray[np.int64] = np.square(frames, dtype=np.int64).sum(axis=1)
    return energies


def choose_cut(energies: NDArray[np.int64], policy: CutPolicy) -> int:
    """The frame before which to cut a zone: near the end of its best silence, else in its quietest stretch."""
    silence = _best_silence(energies < _silence_energy(policy.silence_dbfs), policy.silence_ms // FRAME_MS)
    if silence is not None:
        return silence[1] - policy.kept_ms // FRAME_MS
    return _quietest(energies, policy.kept_ms // FRAME_MS)


def _silence_energy(dbfs: float) -> float:
    return float(_FRAME_SAMPLES * (_FULL_SCALE * 10 ** (dbfs / 20)) ** 2)


def _best_silence(silent: NDArray[np.bool_], least_frames: int) -> tuple[int, int] | None:
    """First and last-plus-one frame of the longest silence; of those of a second and more, the latest."""
    edges = np.flatnonzero(np.diff(silent.astype(np.int8), prepend=0, append=0))
    runs = [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= least_frames]
    enough = _LONG_SILENCE_MS // FRAME_MS
    return max(runs, key=lambda run: (min(run[1] - run[0], enough), run[1]), default=None)


def _quietest(energies: NDArray[np.int64], width: int) -> int:
    """The middle of the quietest `width` frames, the latest such."""
    width = min(width, len(energies))
    sums = np.concatenate(([0], np.cumsum(energies)))
    stretches = sums[width:] - sums[:-width]
    return len(stretches) - 1 - int(np.argmin(stretches[::-1])) + width // 2
