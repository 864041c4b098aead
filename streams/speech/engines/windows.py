"""Where to listen: speech scores in, windows of at most 30 s out.

In: a speech probability per frame. Out: spans of speech, and windows that hold them for one row of a batch.
Pure. The way is WhisperX's: hysteresis, long speech cut where it is least likely, neighbours joined while they fit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from streams.speech.engines.spans import Span

WINDOW_MAX_MS = 30_000
WINDOW_MIN_MS = 200  # a click is shorter than any word, and a model asked for its words invents some
HALF_MIN_MS = 2_000
PAUSE_MAX_MS = 3_000  # after a longer one somebody else may speak, in another language


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechThresholds:
    """Speech starts above `onset`, ends below `offset`, and is widened by `pad_ms` on both sides."""

    onset: float = 0.5
    offset: float = 0.363
    pad_ms: int = 0


SPEECH = SpeechThresholds()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpeechScores:
    """Speech probability of each frame, with the frames' centres in ms, ascending."""

    values: NDArray[np.float32]
    centre_ms: NDArray[np.float64]


def speech_spans(scores: SpeechScores, thresholds: SpeechThresholds, length_ms: int) -> list[Span]:
    """Stretches of speech in order, none longer than a window, apart or touching, inside 0..length_ms."""
    spans: list[Span] = []
    for first, last in _active_runs(scores.values, thresholds):
        for a, b in _cut(scores, first, last):
            spans.append(Span(start_ms=int(scores.centre_ms[a]), end_ms=int(scores.centre_ms[b])))
    return _padded(spans, thresholds.pad_ms, length_ms)


def windows(spans: Sequence[Span]) -> list[Span]:
    """Windows in order that hold the spans: neighbours share one while it has no long pause; a lone click has none."""
    out: list[Span] = []
    for span in spans:
        if out and _joins(out[-1], span):
            out[-1] = Span(start_ms=out[-1].start_ms, end_ms=span.end_ms)
        else:
            out.append(span)
    return [window for window in out if window.length_ms >= WINDOW_MIN_MS]


def halves(window: Span, spans: Sequence[Span]) -> tuple[Span, Span] | None:
    """The window cut at the pause nearest its middle, or None when it has no pause with enough on both sides."""
    inside = [s for s in spans if s.overlap(window).length_ms > 0]
    cuts = [
        (before, after)
        for before, after in pairwise(inside)
        if before.end_ms - window.start_ms >= HALF_MIN_MS and window.end_ms - after.start_ms >= HALF_MIN_MS
    ]
    if not cuts:
        return None
    middle = window.start_ms + window.end_ms
    before, after = min(cuts, key=lambda cut: abs(cut[0].end_ms + cut[1].start_ms - middle))
    return (
        Span(start_ms=window.start_ms, end_ms=before.end_ms),
        Span(start_ms=after.start_ms, end_ms=window.end_ms),
    )


def _joins(window: Span, span: Span) -> bool:
    return span.end_ms - window.start_ms <= WINDOW_MAX_MS and span.start_ms - window.end_ms <= PAUSE_MAX_MS


def _active_runs(values: NDArray[np.float32], thresholds: SpeechThresholds) -> list[tuple[int, int]]:
    """First and last frame of each run that rises above onset and has not yet sunk below offset."""
    runs: list[tuple[int, int]] = []
    first: int | None = None
    for i, value in enumerate(values.tolist()):
        if first is None and value > thresholds.onset:
            first = i
        elif first is not None and value < thresholds.offset:
            runs.append((first, i))
            first = None
    if first is not None:
        runs.append((first, len(values) - 1))
    return [run for run in runs if run[1] > run[0]]


def _cut(scores: SpeechScores, first: int, last: int) -> list[tuple[int, int]]:
    """Frames first..last in pieces that fit a window, cut at the least likely frame of the window's second half."""
    pieces: list[tuple[int, int]] = []
    while scores.centre_ms[last] - scores.centre_ms[first] > WINDOW_MAX_MS:
        start_ms = scores.centre_ms[first]
        low, high = np.searchsorted(scores.centre_ms, (start_ms + WINDOW_MAX_MS / 2, start_ms + WINDOW_MAX_MS))
        cut = int(low + np.argmin(scores.values[low:high]))
        pieces.append((first, cut))
        first = cut
    return [*pieces, (first, last)]


def _padded(spans: Sequence[Span], pad_ms: int, length_ms: int) -> list[Span]:
    """Spans widened into the silence around them, at most to the middle of a pause and never past a window's length."""
    out: list[Span] = []
    for i, span in enumerate(spans):
        room = max(0, WINDOW_MAX_MS - span.length_ms) // 2
        left = (span.start_ms - spans[i - 1].end_ms) // 2 if i else span.start_ms
        right = (spans[i + 1].start_ms - span.end_ms) // 2 if i + 1 < len(spans) else length_ms - span.end_ms
        out.append(
            Span(
                start_ms=span.start_ms - max(0, min(pad_ms, left, room)),
                end_ms=min(length_ms, span.end_ms + max(0, min(pad_ms, right, room))),
            )
        )
    return [span for span in out if span.length_ms > 0]
