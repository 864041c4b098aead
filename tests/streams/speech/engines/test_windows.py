"""Speech is found with hysteresis, fits windows of 30 s, and is halved at a pause."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streams.speech.engines.spans import Span
from streams.speech.engines.windows import (
    HALF_MIN_MS,
    PAUSE_MAX_MS,
    WINDOW_MAX_MS,
    SpeechScores,
    SpeechThresholds,
    halves,
    speech_spans,
    windows,
)

FRAME_MS = 250.0
THRESHOLDS = SpeechThresholds(onset=0.5, offset=0.3, pad_ms=100)


def scored(values: list[float]) -> SpeechScores:
    centres = (np.arange(len(values)) + 0.5) * FRAME_MS
    return SpeechScores(values=np.asarray(values, np.float32), centre_ms=centres.astype(np.float64))


def length_ms(values: list[float]) -> int:
    return int(len(values) * FRAME_MS)


scores = st.lists(st.floats(0, 1, width=32), max_size=400)
runs = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 90)), max_size=12)


def spans_of(gaps_and_lengths: list[tuple[int, int]]) -> list[Span]:
    """Speech of the given lengths with the given gaps before it, in steps of a quarter of a second; at most 22.5 s."""
    spans, at = [], 0
    for gap, length in gaps_and_lengths:
        at += gap * 250
        spans.append(Span(start_ms=at, end_ms=at + length * 250))
        at += length * 250
    return spans


@given(scores)
def test_speech_is_in_order_inside_the_sound_and_fits_a_window(values: list[float]) -> None:
    spans = speech_spans(scored(values), THRESHOLDS, length_ms(values))
    assert all(0 <= span.start_ms < span.end_ms <= length_ms(values) for span in spans)
    assert all(span.length_ms <= WINDOW_MAX_MS for span in spans)
    assert all(a.end_ms <= b.start_ms for a, b in pairwise(spans))


@given(scores)
def test_padding_only_widens_speech(values: list[float]) -> None:
    bare = speech_spans(scored(values), SpeechThresholds(onset=0.5, offset=0.3), length_ms(values))
    padded = speech_spans(scored(values), THRESHOLDS, length_ms(values))
    assert len(padded) == len(bare)
    assert all(p.start_ms <= b.start_ms and b.end_ms <= p.end_ms for p, b in zip(padded, bare, strict=True))


def test_no_scores_no_speech() -> None:
    assert speech_spans(scored([]), THRESHOLDS, 20) == []


def test_speech_goes_on_between_the_thresholds() -> None:
    values = [0.0, 0.9, 0.4, 0.4, 0.9, 0.1, 0.0]
    bare = SpeechThresholds(onset=0.5, offset=0.3)
    assert speech_spans(scored(values), bare, length_ms(values)) == [Span(start_ms=375, end_ms=1375)]


def test_long_speech_is_cut_where_it_is_least_likely() -> None:
    values = [0.9] * 200
    values[90] = 0.6
    first, second = speech_spans(scored(values), SpeechThresholds(onset=0.5, offset=0.3), length_ms(values))
    assert first.end_ms == second.start_ms == int(90.5 * FRAME_MS)


@given(runs)
def test_windows_hold_all_speech_and_stay_within_thirty_seconds(gaps_and_lengths: list[tuple[int, int]]) -> None:
    spans = spans_of(gaps_and_lengths)
    found = windows(spans)
    assert all(window.length_ms <= WINDOW_MAX_MS for window in found)
    assert all(any(span.overlap(window) == span for window in found) for span in spans)
    pauses = [(a.end_ms, b.start_ms) for a, b in pairwise(spans) if b.start_ms - a.end_ms > PAUSE_MAX_MS]
    assert not any(window.start_ms < a and b < window.end_ms for a, b in pauses for window in found)
    assert all(a.end_ms <= b.start_ms for a, b in pairwise(found))


def test_a_lone_click_is_no_window() -> None:
    word = Span(start_ms=9_000, end_ms=9_400)
    assert windows([Span(start_ms=30, end_ms=149), word]) == [word]


@given(runs)
def test_halves_lose_only_a_pause(gaps_and_lengths: list[tuple[int, int]]) -> None:
    spans = spans_of(gaps_and_lengths)
    for window in windows(spans):
        cut = halves(window, spans)
        if cut is None:
            continue
        first, second = cut
        assert (first.start_ms, second.end_ms) == (window.start_ms, window.end_ms)
        assert first.end_ms <= second.start_ms
        assert min(first.length_ms, second.length_ms) >= HALF_MIN_MS
        assert not any(span.start_ms < second.start_ms and first.end_ms < span.end_ms for span in spans)


def test_a_window_without_a_pause_cannot_be_halved() -> None:
    window = Span(start_ms=0, end_ms=20_000)
    assert halves(window, [window]) is None
