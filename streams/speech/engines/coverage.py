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
