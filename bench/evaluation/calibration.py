"""What a word's confidence is worth: are words given 0.8 right eight times of ten, and are doubts well placed?

In: words with a confidence, each known to be right or wrong. Out: a table by tenths and figures. Pure.
The expected calibration error is that of Guo et al., "On Calibration of Modern Neural Networks", section 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

TENTHS = 10
THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedWord:
    """A word's confidence and its segment's, whether it is right, and whether its segment is flagged as doubtful."""

    confidence: float
    right: bool
    segment_confidence: float | None = None
    flagged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenth:
    """The words whose confidence lies in a tenth of 0 to 1."""

    words: int
    right: int
    mean_confidence: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A doubt over some words: how many it covers, how many of those are wrong, and how many are wrong at all."""

    words: int
    wrong: int
    all_wrong: int

    @property
    def precision(self) -> float | None:
        return self.wrong / self.words if self.words else None

    @property
    def recall(self) -> float | None:
        return self.wrong / self.all_wrong if self.all_wrong else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """All of it; what would be doubted below a confidence, of the word or of its segment, and what `flag` doubts."""

    words: int
    right: int
    error: float
    tenths: tuple[Tenth, ...]
    below: dict[float, Alarm]
    segments_below: dict[float, Alarm]
    flag: Alarm


def calibration(words: Sequence[JudgedWord]) -> Calibration | None:
    """The figures of these words; None where none has a confidence."""
    if not words:
        return None
    tenths = [_tenth([w for w in words if _place(w.confidence) == place]) for place in range(TENTHS)]
    return Calibration(
        words=len(words),
        right=sum(word.right for word in words),
        error=sum(abs(t.words * (t.mean_confidence or 0.0) - t.right) for t in tenths) / len(words),
        tenths=tuple(tenths),
        below={limit: _alarm(words, [w for w in words if w.confidence < limit]) for limit in THRESHOLDS},
        segments_below={limit: _alarm(words, [w for w in words if _segment(w) < limit]) for limit in THRESHOLDS},
        flag=_alarm(words, [word for word in words if word.flagged]),
    )


def _place(confidence: float) -> int:
    return min(TENTHS - 1, int(confidence * TENTHS))


def _segment(word: JudgedWord) -> float:
    return 1.0 if word.segment_confidence is None else word.segment_confidence


def _tenth(words: Sequence[JudgedWord]) -> Tenth:
    mean = sum(word.confidence for word in words) / len(words) if words else None
    return Tenth(words=len(words), right=sum(word.right for word in words), mean_confidence=mean)


def _alarm(words: Sequence[JudgedWord], doubted: Sequence[JudgedWord]) -> Alarm:
    return Alarm(
        words=len(doubted),
        wrong=sum(not word.right for word in doubted),
        all_wrong=sum(not word.right for word in words),
    )
