"""Speech that got no words: where it is, and how a second try at it joins what was found before.

In: where speech was heard, and passages with timed words. Out: windows to try again, and passages in order. Pure.
Missing text is what people complain of most, and a window's first try gives up on the rest of it without a sign.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from schemas.values import Passage, Word
from streams.speech.engines.alignment import UNSPACED_LANGUAGES
from streams.speech.engines.spans import Span

WINDOW_MS = 15_000  # shorter than the first try's, which is why the second may find what the first did not
MISSING_MIN_MS = 2_000  # less is a breath, a laugh, or the end of a word
WORD_REACH_MS = 500  # an aligner's word may be longer than it says
RECOVERED = "recovered"
SPARSE = "sparse"
# Slower than anybody speaks: the model gave up in the middle of a window, and its few words were stretched over it.
SIGNS_PER_S_MIN = 6.0
UNSPACED_SIGNS_PER_S_MIN = 2.0
SPARSE_MIN_MS = 8_000
GAIN_MIN = 1.3  # so much more text makes a second try the better one
# A second try is not asked unless there is reason to believe it.
AVG_LOGPROB_MIN = -0.8
NO_SPEECH_MAX = 0.5


def missing(speech: Sequence[Span], words: Iterable[Span]) -> list[Span]:
    """Stretches of speech without a word in or near them, long enough to hold some, none longer than a window."""
    covered = joined(Span(start_ms=w.start_ms - WORD_REACH_MS, end_ms=w.end_ms + WORD_REACH_MS) for w in words)
    bare: list[Span] = []
    for heard in joined(speech):
        at = heard.start_ms
        for word in covered:
            if word.end_ms <= at or word.start_ms >= heard.end_ms:
                continue
            bare.append(Span(start_ms=at, end_ms=max(at, word.start_ms)))
            at = max(at, word.end_ms)
        bare.append(Span(start_ms=at, end_ms=max(at, heard.end_ms)))
    return [part for span in bare if span.length_ms >= MISSING_MIN_MS for part in _equal_parts(span)]


def is_sparse(passage: Passage, speech: Sequence[Span]) -> bool:
    """Whether there is far less text than the speech under it would hold; `speech` is in the recording."""
    window = Span(start_ms=passage.start_ms, end_ms=passage.end_ms)
    heard_ms = sum(max(0, span.overlap(window).length_ms) for span in joined(speech))
    least = UNSPACED_SIGNS_PER_S_MIN if passage.language in UNSPACED_LANGUAGES else SIGNS_PER_S_MIN
    return heard_ms >= SPARSE_MIN_MS and signs(passage) * 1000 < least * heard_ms


def signs(*passages: Passage) -> int:
    """Letters and digits of the text."""
    return sum(character.isalnum() for passage in passages for character in passage.text)


def parts(window: Span, cut: tuple[Span, Span] | None) -> list[Span]:
    """A window in shorter ones: at a pause near its middle, else in equal parts."""
    half = Span(start_ms=window.start_ms, end_ms=window.start_ms + window.length_ms // 2)
    return list(cut) if cut else [half, Span(start_ms=half.end_ms, end_ms=window.end_ms)]


def replaced(first: Sequence[Passage], sparse: Sequence[Passage], second: Sequence[Passage]) -> list[Passage]:
    """Sparse passages give way to what a second try of their windows found, where that is much more; else they stay."""
    out = [passage for passage in first if passage not in sparse]
    for passage in sparse:
        inside = [p for p in second if p.start_ms >= passage.start_ms and p.end_ms <= passage.end_ms]
        better = signs(*inside) >= GAIN_MIN * signs(passage)
        out.extend(inside if better else [replace(passage, flags=(*passage.flags, SPARSE))])
    return sorted(out, key=lambda passage: (passage.start_ms, passage.end_ms))


def joined(spans: Iterable[Span]) -> list[Span]:
    """Spans in order, those that touch as one."""
    out: list[Span] = []
    for span in sorted(spans):
        if out and span.start_ms <= out[-1].end_ms:
            out[-1] = Span(start_ms=out[-1].start_ms, end_ms=max(out[-1].end_ms, span.end_ms))
        else:
            out.append(span)
    return out


def merged(first: Sequence[Passage], recovered: Sequence[Passage]) -> list[Passage]:
    """All passages in order of their words: one that goes on after a recovered one is split there."""
    parts = list(first)
    for found in recovered:
        parts = [part for passage in parts for part in split(passage, found.start_ms)]
    return sorted([*parts, *recovered], key=lambda passage: (passage.start_ms, passage.end_ms))


def split(passage: Passage, at_ms: int) -> list[Passage]:
    """The passage before and after a moment, as far as it has timed words there."""
    before = tuple(w for w in passage.words if w.start_ms is not None and w.start_ms < at_ms)
    after = passage.words[len(before) :]
    if not before or not after or any(word.start_ms is None for word in passage.words):
        return [passage]
    middle = max(at_ms, max(word.end_ms or 0 for word in before))
    cut = max(min(word.start_ms or 0 for word in after), before[-1].start_ms or 0)
    first = replace(passage, end_ms=min(middle, cut), words=_until(before, min(middle, cut)))
    second = replace(passage, start_ms=cut, words=after)
    return [replace(part, text=_text(part)) for part in (first, second)]


def _until(words: Sequence[Word], end_ms: int) -> tuple[Word, ...]:
    return tuple(word if (word.end_ms or 0) <= end_ms else replace(word, end_ms=end_ms) for word in words)


def _text(passage: Passage) -> str:
    return ("" if passage.language in UNSPACED_LANGUAGES else " ").join(word.text for word in passage.words)


def _equal_parts(span: Span) -> list[Span]:
    count = -(-span.length_ms // WINDOW_MS)
    edges = [span.start_ms + span.length_ms * i // count for i in range(count + 1)]
    return [Span(start_ms=a, end_ms=b) for a, b in pairwise(edges)]
