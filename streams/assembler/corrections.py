"""A correction's words on the recording's clock: new text is aligned with the old, kept words keep their times.

In: the segments as they were, and the text and speakers that replace them. Out: segments without ids.
Knows no job and no revision; `edits` does. Method: longest common runs of words (difflib); words put in the place of
others share their span, inserted ones the room between their neighbours, marked as interpolated.
"""

from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher

from schemas.values import LOW_CONFIDENCE, ReplacementSegment, Segment, Timing, Word
from streams.assembler.words import fill_times, mean_confidence, normal, split

CORRECTED = "corrected"
_MACHINE_DOUBTS = frozenset({LOW_CONFIDENCE})


def revise(base: Sequence[Segment], replacement: Sequence[ReplacementSegment]) -> tuple[Segment, ...]:
    """Segments that stand in place of `base`; their ids are empty."""
    old = [word for segment in base for word in _words(segment)]
    texts = [_tokens(item.text, base, old) for item in replacement]
    start_ms = min(segment.start_ms for segment in base)
    end_ms = max(segment.end_ms for segment in base)
    timed = fill_times(_aligned(old, [token for tokens in texts for token in tokens]), start_ms, end_ms)
    segments, place = [], 0
    for item, tokens in zip(replacement, texts, strict=True):
        words = timed[place : place + len(tokens)]
        place += len(tokens)
        segments.append(_segment(base, item, words))
    return _spanned(segments, start_ms, end_ms)


def _words(segment: Segment) -> Sequence[Word]:
    """A segment's words on the clock; one that has only text lends its span."""
    if segment.words:
        return segment.words
    return fill_times(
        [Word(text=token) for token in split(segment.text, segment.language)], segment.start_ms, segment.end_ms
    )


def _tokens(text: str, base: Sequence[Segment], old: Sequence[Word]) -> list[str]:
    return split(text, base[0].language, (word.text for word in old))


def _aligned(old: Sequence[Word], tokens: Sequence[str]) -> list[Word]:
    """The new words; kept ones with their times, the others with those of what they replace, or with none."""
    matcher = SequenceMatcher(
        a=[normal(word.text) for word in old], b=[normal(token) for token in tokens], autojunk=False
    )
    words: list[Word] = []
    for kind, a1, a2, b1, b2 in matcher.get_opcodes():
        fresh = [Word(text=token) for token in tokens[b1:b2]]
        if kind == "equal":
            words += [replace(word, text=item.text) for word, item in zip(old[a1:a2], fresh, strict=True)]
        elif kind == "replace":
            words += _in_place(old[a1:a2], fresh)
        else:
            words += fresh
    return words


def _in_place(old: Sequence[Word], fresh: Sequence[Word]) -> Sequence[Word]:
    """New words share the span of the words they replace; without a span they stay untimed for now."""
    starts = [word.start_ms for word in old if word.start_ms is not None]
    ends = [word.end_ms for word in old if word.end_ms is not None]
    if not starts or not ends:
        return fresh
    if len(old) == len(fresh):
        return [
            replace(new, start_ms=word.start_ms, end_ms=word.end_ms, timing=Timing.INTERPOLATED)
            for new, word in zip(fresh, old, strict=True)
        ]
    return fill_times(fresh, min(starts), max(ends))


def _segment(base: Sequence[Segment], item: ReplacementSegment, words: Sequence[Word]) -> Segment:
    spoken = tuple(replace(word, speaker_id=item.speaker_id) for word in words)
    start_ms, end_ms = spoken[0].start_ms or 0, max(word.end_ms or 0 for word in spoken)
    nearest = max(base, key=lambda old: min(old.end_ms, end_ms) - max(old.start_ms, start_ms))
    doubts = tuple(flag for flag in nearest.flags if flag not in _MACHINE_DOUBTS and flag != CORRECTED)
    return Segment(
        segment_id="",
        start_ms=start_ms,
        end_ms=end_ms,
        speaker_id=item.speaker_id,
        language=nearest.language,
        text=item.text.strip(),
        confidence=mean_confidence(spoken),
        flags=(*doubts, CORRECTED),
        words=spoken,
    )


def _spanned(segments: list[Segment], start_ms: int, end_ms: int) -> tuple[Segment, ...]:
    """The run covers what it covered before: its first segment starts and its last ends where the old ones did."""
    if segments:
        segments[0] = replace(segments[0], start_ms=start_ms)
        segments[-1] = replace(segments[-1], end_ms=end_ms)
    return tuple(segments)
