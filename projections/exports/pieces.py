"""A segment in pieces that captions may not tear, each with the time in which it is said.

In: a segment with its words. Out: pieces of its text, in order. Words give their times; what has none lies between
its neighbours as if it were spoken evenly. Knows no captions.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from projections.exports.neutral import columns, one_line, words
from projections.transcripts.places import word_places
from projections.transcripts.views import SegmentView

PIECE_COLUMNS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A word with the space after it."""

    text: str
    start_ms: int
    end_ms: int


def pieces(segment: SegmentView) -> list[Piece]:
    """The whole text of a segment, in pieces of at most 40 columns; times never go back."""
    text = one_line(segment.text)
    said = {at: word for at, word in word_places(text, segment.words) if word.start_ms is not None}
    clock = _Clock(segment, [(at, word.start_ms) for at, word in said.items() if word.start_ms is not None], len(text))
    made = []
    for start, end in _spans(text, frozenset(said)):
        start_ms, after_ms = clock.at(start), clock.at(end)
        word = said.get(start)
        end_ms = word.end_ms if word is not None and word.end_ms is not None else after_ms
        made.append(Piece(text=text[start:end], start_ms=start_ms, end_ms=min(max(end_ms, start_ms), after_ms)))
    return made


def _spans(text: str, begins: frozenset[int]) -> Iterator[tuple[int, int]]:
    """Where pieces begin and end: where a line may be broken, where a word begins, and inside what is too wide."""
    borders = {*accumulate(len(word) for word in words(text)), *begins} - {0}
    start = 0
    for at in range(1, len(text) + 1):
        if at in borders or columns(text[start : at + 1]) > PIECE_COLUMNS:
            yield start, at
            start = at


class _Clock:
    """The time at each character of a segment's text."""

    def __init__(self, segment: SegmentView, known: Sequence[tuple[int, int]], length: int) -> None:
        last_ms = max(segment.start_ms, segment.end_ms)
        anchors = sorted([*known, (length, last_ms)])
        if anchors[0][0] > 0:
            anchors.insert(0, (0, segment.start_ms))
        self._places = [place for place, _ in anchors]
        clamped = (min(max(time_ms, segment.start_ms), last_ms) for _, time_ms in anchors)
        self._times_ms = list(accumulate(clamped, max))

    def at(self, place: int) -> int:
        """The time at a character, between the two known ones around it."""
        right = min(bisect_right(self._places, place), len(self._places) - 1)
        left = max(0, right - 1) if self._places[right] > place else right
        span = max(1, self._places[right] - self._places[left])
        along_ms = self._times_ms[right] - self._times_ms[left]
        return self._times_ms[left] + along_ms * (place - self._places[left]) // span
