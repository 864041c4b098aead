"""Captions: segments cut into cues that a reader can follow.

In: segments with word times. Out: cues of at most two lines of 42 columns and about seven seconds, ended at pauses,
sentences and clauses where these are near. Knows no file format.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from projections.exports.neutral import columns, one_line, words
from projections.exports.pieces import PIECE_COLUMNS, Piece, pieces
from projections.transcripts.views import SegmentView

LINE_COLUMNS = 42
LINES = 2
CUE_MS = 7_000
PAUSE_MS = 1_500
MIN_CUE_MS = 1
_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’»)\]]*\s*$")
_CLAUSE_END = re.compile(r"[,;:–—、，；：.!?…。！？][\"'”’»)\]]*\s*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """One caption. The text is in one line of no format, the speaker a name to show."""

    start_ms: int
    end_ms: int
    speaker: str | None
    lines: tuple[str, ...]


def cues(segments: Sequence[SegmentView], *, names_in_text: bool) -> Iterator[Cue]:
    """The captions of a transcript; `names_in_text` puts `Name: ` before the text when another speaker begins."""
    before: str | None = None
    for segment in sorted(segments, key=lambda segment: segment.start_ms):
        name = one_line(segment.speaker) if segment.speaker else None
        parts = pieces(segment)
        if parts and names_in_text and name and name != before:
            parts = [_introduction(name, parts[0]), *parts]
        before = name
        for group in _groups(parts):
            if lines := wrapped("".join(piece.text for piece in group)):
                end_ms = max(group[-1].end_ms, group[0].start_ms + MIN_CUE_MS)
                yield Cue(start_ms=group[0].start_ms, end_ms=end_ms, speaker=name, lines=lines)


def _introduction(name: str, first: Piece) -> Piece:
    shown = name[: _fitting(name, PIECE_COLUMNS - 2)]
    return Piece(text=f"{shown}: ", start_ms=first.start_ms, end_ms=first.start_ms)


def _groups(parts: Sequence[Piece]) -> Iterator[Sequence[Piece]]:
    """Runs of pieces that make one cue each."""
    group: list[Piece] = []
    for piece in parts:
        while group and (cut := _cut(group, piece)):
            yield group[:cut]
            group = group[cut:]
        group.append(piece)
    if group:
        yield group


def _cut(group: Sequence[Piece], piece: Piece) -> int:
    """How many pieces of the group make a cue before `piece` may be added; 0 when it may be added at once."""
    paused = piece.start_ms - group[-1].end_ms >= PAUSE_MS
    ended = _SENTENCE_END.search(group[-1].text) and sum(columns(each.text) for each in group) >= LINE_COLUMNS
    if paused or ended:
        return len(group)
    if _fits([*group, piece]):
        return 0
    clauses = (n for n in range(len(group), len(group) // 2, -1) if _CLAUSE_END.search(group[n - 1].text))
    return next(clauses, len(group))


def _fits(group: Sequence[Piece]) -> bool:
    short = group[-1].end_ms - group[0].start_ms <= CUE_MS
    return short and len(_filled("".join(piece.text for piece in group))) <= LINES


def wrapped(text: str) -> tuple[str, ...]:
    """Lines of at most 42 columns; two lines are made as equal as spaces allow."""
    lines = _filled(text)
    if len(lines) != LINES:
        return lines
    line = text.strip()
    halves = ((line[:at].strip(), line[at:].strip()) for at, char in enumerate(line) if char == " ")
    return min((*halves, lines), key=lambda pair: max(map(columns, pair)))


def _filled(text: str) -> tuple[str, ...]:
    """Lines filled one after the other; a word that fits no line is torn."""
    lines = [""]
    for word in words(text):
        rest = word
        if lines[-1] and columns((lines[-1] + rest).rstrip()) > LINE_COLUMNS:
            lines.append("")
        while columns((lines[-1] + rest).rstrip()) > LINE_COLUMNS:
            cut = _fitting(rest, LINE_COLUMNS)
            lines[-1], rest = rest[:cut], rest[cut:]
            lines.append("")
        lines[-1] += rest
    return tuple(line.strip() for line in lines if line.strip())


def _fitting(text: str, limit_columns: int) -> int:
    """How many characters of the text fit."""
    width = 0
    for at, char in enumerate(text):
        width += columns(char)
        if width > limit_columns:
            return max(1, at)
    return len(text)
