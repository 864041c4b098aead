"""Words: joined as they are written, out of the pauses, in order, and honest about their times."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.values import Timing
from streams.speech.engines.alignment import WORD_MAX_MS, Piece, join_pieces, settle, snap, words_of
from streams.speech.engines.spans import Span

WINDOW = Span(start_ms=1_000, end_ms=9_000)


def piece(text: str, start_ms: int | None = None, end_ms: int | None = None, p: float = 0.9) -> Piece:
    span = None if start_ms is None or end_ms is None else Span(start_ms=start_ms, end_ms=end_ms)
    return Piece(text=text, span=span, probability=p)


def texts(*pieces: str, spaced: bool = True) -> list[str]:
    return [found.text for found in join_pieces([piece(text) for text in pieces], spaced=spaced)]


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ((" Hello", ",", " world", "."), ["Hello,", "world."]),
        ((" T", "-Rex", " is", " here", "?!"), ["T-Rex", "is", "here?!"]),
        ((" he", " said", ' "', "no", '"', "."), ["he", "said", '"no".']),
        ((" well", " -", " yes"), ["well -", "yes"]),
        ((" $", "40", " (", "net", ")"), ["$40", "(net)"]),
        ((" ...",), []),
        ((" ", " so"), ["so"]),
    ],
)
def test_punctuation_and_parts_join_their_word(pieces: tuple[str, ...], words: list[str]) -> None:
    assert texts(*pieces) == words


def test_words_without_spaces_stay_apart_and_latin_ones_together() -> None:
    assert texts("音", "声", "、", "USB", "3", "。", "「", "は", "い", "」", spaced=False) == [
        "音",
        "声、",
        "USB3。",
        "「は",
        "い」",
    ]


def test_a_joined_word_lasts_from_its_first_part_to_its_last() -> None:
    [found] = join_pieces([piece(" T", 100, 200, 0.6), piece("-Rex", 200, 500, 0.8), piece(".", 500, 900)], spaced=True)
    assert found == piece("T-Rex.", 100, 500, 0.6)


def test_snap_keeps_the_longest_speech_and_on_a_tie_the_last() -> None:
    speech = [Span(start_ms=0, end_ms=300), Span(start_ms=1_000, end_ms=1_280)]
    assert snap(piece("ask", 0, 1_280), speech).span == speech[1]
    assert snap(piece("ask", 0, 1_100), speech).span == speech[0]


def test_a_word_nobody_heard_keeps_its_end_and_no_more_than_two_seconds() -> None:
    assert snap(piece("You", 0, 18_000), []).span == Span(start_ms=18_000 - WORD_MAX_MS, end_ms=18_000)


times = st.lists(st.integers(0, 10_000), min_size=2, max_size=24)
regions = st.lists(st.integers(0, 10_000), max_size=20)


def in_turn(edges: list[int]) -> list[Span]:
    ordered = sorted(edges)
    return [Span(start_ms=a, end_ms=b) for a, b in zip(ordered[::2], ordered[1::2], strict=False)]


@given(times, regions)
def test_snapped_spans_stay_inside_what_they_were(edges: list[int], speech: list[int]) -> None:
    for span in in_turn(edges):
        snapped = snap(Piece(text="w", span=span), in_turn(speech)).span
        assert snapped is not None
        assert span.start_ms <= snapped.start_ms <= snapped.end_ms <= span.end_ms


@given(times, regions, st.lists(st.booleans(), min_size=12, max_size=12))
def test_words_are_in_order_inside_the_window(edges: list[int], speech: list[int], known: list[bool]) -> None:
    pieces = [
        Piece(text=" w", span=span if timed else None) for span, timed in zip(in_turn(edges), known, strict=False)
    ]
    words = words_of(pieces, "en", in_turn(speech), WINDOW)
    assert len(words) == len(pieces)
    found = [(word.start_ms, word.end_ms) for word in words if word.start_ms is not None and word.end_ms is not None]
    assert len(found) in (0, len(words))
    assert all(WINDOW.start_ms <= a <= b <= WINDOW.end_ms for a, b in found)
    assert all(before[1] <= after[0] for before, after in pairwise(found))
    assert all((word.timing is Timing.NONE) == (word.start_ms is None) for word in words)


def test_words_without_times_share_the_gap_between_their_neighbours() -> None:
    words = settle([piece("a", 1_000, 2_000), piece("12"), piece("%"), piece("b", 4_000, 5_000)], WINDOW)
    assert [(w.start_ms, w.end_ms) for w in words] == [(1_000, 2_000), (2_000, 3_000), (3_000, 4_000), (4_000, 5_000)]
    assert [w.timing for w in words] == [Timing.ALIGNED, Timing.INTERPOLATED, Timing.INTERPOLATED, Timing.ALIGNED]


def test_a_word_of_no_length_is_interpolated() -> None:
    assert settle([piece("a", 1_000, 2_000), piece("b", 2_000, 2_000)], WINDOW)[1].timing is Timing.INTERPOLATED


def test_without_any_time_there_are_none() -> None:
    [word] = settle([piece("12")], WINDOW)
    assert (word.start_ms, word.end_ms, word.timing) == (None, None, Timing.NONE)
