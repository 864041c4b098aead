"""From an aligner's pieces to words: punctuation attached, pauses left out, every word with honest times.

In: text pieces with the times an aligner gave them, and where speech was heard. Out: words of a passage.
Pure; times are ms from the start of the chunk's core, like the spans given.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from schemas.values import Timing, Word
from streams.speech.engines.spans import Span

# Whisper splits these at every character; their words are written without spaces between.
UNSPACED_LANGUAGES = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
OPENING = frozenset("\"'“‘¿¡([{«„「『（《-–—$€£#")
TIE_MS = 50
SPEECH_MIN_MS = 20
WORD_MAX_MS = 2_000  # what is longer holds a pause that nobody heard

_LETTER = re.compile(r"\w")
_LATIN = re.compile(r"[A-Za-z0-9]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A piece of text as decoded, leading space included, and its time, or None where the aligner has none."""

    text: str
    span: Span | None
    probability: float | None = None


def words_of(pieces: Sequence[Piece], language: str, speech: Sequence[Span], window: Span) -> tuple[Word, ...]:
    """The words of one window."""
    joined = join_pieces(pieces, spaced=language not in UNSPACED_LANGUAGES)
    return settle([snap(piece, speech) for piece in joined], window)


def join_pieces(pieces: Sequence[Piece], *, spaced: bool) -> list[Piece]:
    """Pieces that are written together made one: punctuation to its word, and parts of a word to its beginning."""
    out: list[Piece] = []
    opening = ""
    for piece in pieces:
        if not piece.text.strip():
            continue
        if _LETTER.search(piece.text):
            if out and opening and piece.text[0].isspace():  # a mark that stands alone
                out[-1], opening = replace(out[-1], text=f"{out[-1].text} {opening}"), ""
            if out and not opening and _continues(out[-1], piece, spaced=spaced):
                out[-1] = _merged(out[-1], piece)
            else:
                out.append(replace(piece, text=opening + piece.text.strip()))
            opening = ""
        elif out and not _opens(piece.text):
            out[-1] = replace(out[-1], text=out[-1].text + piece.text.rstrip())
        else:
            opening += piece.text.strip()
    if out and opening:
        out[-1] = replace(out[-1], text=out[-1].text + opening)
    return out


def snap(piece: Piece, speech: Sequence[Span]) -> Piece:
    """The piece without the pauses inside it: its longest stretch of speech, on a near tie the last.

    Attention gives a pause to the word after it, so what is left of such a word is at its end.
    """
    if piece.span is None:
        return piece
    heard = [part for s in speech if (part := s.overlap(piece.span)).length_ms > SPEECH_MIN_MS] or [piece.span]
    last = heard[-1]
    longest = max(heard, key=lambda span: span.length_ms)
    kept = last if longest.length_ms - last.length_ms <= TIE_MS else longest
    return replace(piece, span=Span(start_ms=max(kept.start_ms, kept.end_ms - WORD_MAX_MS), end_ms=kept.end_ms))


def settle(pieces: Sequence[Piece], window: Span) -> tuple[Word, ...]:
    """Words in order inside the window; those without a time of their own share the gap they stand in."""
    spans = [_inside(piece.span, window) for piece in pieces]
    if not any(spans):
        return tuple(Word(text=p.text, confidence=p.probability) for p in pieces)
    return tuple(
        Word(
            text=piece.text,
            start_ms=span.start_ms,
            end_ms=span.end_ms,
            confidence=piece.probability,
            timing=Timing.ALIGNED if known else Timing.INTERPOLATED,
        )
        for piece, known, span in zip(pieces, spans, _filled(spans, window), strict=True)
    )


def _continues(before: Piece, piece: Piece, *, spaced: bool) -> bool:
    """Whether the piece goes on with the word before it: no space between, and not a script of whole characters."""
    if piece.text[0].isspace():
        return False
    return spaced or bool(_LATIN.match(piece.text[0]) and _LATIN.match(before.text[-1]))


def _opens(text: str) -> bool:
    """A mark that belongs to the word after it: it follows a space, or can only open."""
    mark = text.strip()
    return mark in OPENING and (text[0].isspace() or mark in "“¿¡([{«„「『（《")


def _merged(before: Piece, piece: Piece) -> Piece:
    spans = [span for span in (before.span, piece.span) if span is not None]
    known = [p for p in (before.probability, piece.probability) if p is not None]
    return Piece(
        text=before.text + piece.text.rstrip(),
        span=Span(start_ms=spans[0].start_ms, end_ms=spans[-1].end_ms) if spans else None,
        probability=min(known, default=None),
    )


def _inside(span: Span | None, window: Span) -> Span | None:
    """The part inside the window, or None when nothing of it lasts."""
    if span is None or (part := span.overlap(window)).length_ms <= 0:
        return None
    return part


def _filled(spans: Sequence[Span | None], window: Span) -> list[Span]:
    """Each missing span as an equal part of the gap between its timed neighbours."""
    out: list[Span] = []
    i = 0
    while i < len(spans):
        span = spans[i]
        if span is not None:
            out.append(span)
            i += 1
            continue
        run = i
        while run < len(spans) and spans[run] is None:
            run += 1
        after = spans[run] if run < len(spans) else None
        gap = Span(
            start_ms=out[-1].end_ms if out else window.start_ms,
            end_ms=after.start_ms if after else window.end_ms,
        )
        out.extend(_parts(gap, run - i))
        i = run
    return out


def _parts(gap: Span, count: int) -> list[Span]:
    length = max(0, gap.length_ms)
    edges = [gap.start_ms + length * k // count for k in range(count + 1)]
    return [Span(start_ms=a, end_ms=b) for a, b in pairwise(edges)]
