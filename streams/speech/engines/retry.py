"""When to decode a passage again, and how: the retry ladder.

In: the tries of one row so far. Out: the next try, a cut of its window, or the try to keep. Pure.
Sound decoding comes first and is repeatable; only the last rungs draw by chance. Source: openai/whisper's fallback,
with an n-gram rule before it, because a loop keeps a good log probability and only its text compresses well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from schemas.values import LOW_CONFIDENCE

COMPRESSION_RATIO_MAX = 2.4
AVG_LOGPROB_MIN = -1.0
NO_SPEECH_MAX = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """How to search for text; a temperature above 0 draws by chance."""

    beam_size: int = 5
    no_repeat_ngram_size: int = 0
    temperature: float = 0.0


FIRST = Decoding()
WITHOUT_REPEATS = Decoding(no_repeat_ngram_size=3)
DRAWN = tuple(Decoding(beam_size=1, temperature=t) for t in (0.2, 0.4, 0.6, 0.8))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """The rungs: the first try, the one against loops, whether a window may be halved, and what is drawn at last."""

    first: Decoding = FIRST
    without_repeats: Decoding = WITHOUT_REPEATS
    halves: bool = True
    drawn: tuple[Decoding, ...] = DRAWN


WHOLE_LADDER = Ladder()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try at a row, with the figures that judge it."""

    decoding: Decoding
    tokens: tuple[int, ...]
    text: str
    avg_logprob: float
    no_speech_probability: float
    compression_ratio: float


class Verdict(StrEnum):
    """What the figures say about a try."""

    GOOD = "good"
    SILENT = "silent"
    REPETITIVE = "repetitive"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """The ladder ends with this try."""

    attempt: Attempt
    verdict: Verdict


class Halve:
    """Cut the window at a pause and begin again with each half."""


Step = Decoding | Halve | Keep


def judge(attempt: Attempt) -> Verdict:
    """Repetition first: a loop is never taken for silence."""
    if attempt.compression_ratio > COMPRESSION_RATIO_MAX:
        return Verdict.REPETITIVE
    if attempt.avg_logprob >= AVG_LOGPROB_MIN:
        return Verdict.GOOD
    if attempt.no_speech_probability > NO_SPEECH_MAX:
        return Verdict.SILENT
    return Verdict.UNSURE


def next_step(attempts: Sequence[Attempt], *, can_halve: bool, ladder: Ladder = WHOLE_LADDER) -> Step:
    """What to do after these tries of one row; with no try yet, the first one."""
    if not attempts:
        return ladder.first
    verdict = judge(attempts[-1])
    if verdict in (Verdict.GOOD, Verdict.SILENT):
        return Keep(attempt=attempts[-1], verdict=verdict)
    tried = {attempt.decoding for attempt in attempts}
    if verdict is Verdict.REPETITIVE and tried == {ladder.first}:
        return ladder.without_repeats
    if can_halve and ladder.halves:
        return Halve()
    for decoding in ladder.drawn:
        if decoding not in tried:
            return decoding
    return best(attempts)


def best(attempts: Sequence[Attempt]) -> Keep:
    """The least bad try: one that does not repeat itself, then the likeliest."""
    attempt = max(
        attempts,
        key=lambda a: (judge(a) is not Verdict.REPETITIVE, a.avg_logprob),
    )
    return Keep(attempt=attempt, verdict=judge(attempt))


def flags(keep: Keep, *, halved: bool, first: Decoding = FIRST) -> tuple[str, ...]:
    """What a reader of the passage should know of how it was found."""
    found: list[str] = []
    if keep.verdict is not Verdict.GOOD:
        found.append(LOW_CONFIDENCE)
    if keep.verdict is Verdict.REPETITIVE:
        found.append("repetitive")
    if keep.attempt.decoding != first:
        found.append("retried")
    if halved:
        found.append("window_halved")
    return tuple(found)
