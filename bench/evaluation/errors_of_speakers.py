"""Speaker errors: who spoke when, and who said what.

In: turns and words of the reference, and what an engine found. Out: the parts of the diarization error rate, and the
edits of the concatenated minimum-permutation word error rate. Pure.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate
from rapidfuzz.distance import Levenshtein
from scipy.optimize import linear_sum_assignment

from bench.evaluation.errors_of_words import tokens
from bench.evaluation.hypothesis import FoundSegment, FoundTurn
from bench.evaluation.manifest import SpokenWords

COLLAR_S = 0.25  # on both sides of a boundary


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnErrors:
    """Seconds of reference speech, and of each kind of error in it."""

    speech_s: float
    missed_s: float
    false_alarm_s: float
    confused_s: float

    @property
    def errors_s(self) -> float:
        return self.missed_s + self.false_alarm_s + self.confused_s


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidBy:
    """Edits that make an engine's words, speaker by speaker, those of the reference's speakers matched best."""

    words: int
    edits: int


def turn_errors(reference: Annotation, found: Sequence[FoundTurn], duration_s: float, collar_s: float) -> TurnErrors:
    """Overlapped speech counts. A collar leaves out that much on each side of a reference boundary."""
    hypothesis = Annotation()
    for i, turn in enumerate(found):
        hypothesis[Segment(turn.start_s, turn.end_s), i] = turn.speaker
    metric = DiarizationErrorRate(collar=2 * collar_s)
    parts = metric(reference, hypothesis, detailed=True, uem=Timeline([Segment(0, duration_s)]))
    return TurnErrors(
        speech_s=float(parts["total"]),
        missed_s=float(parts["missed detection"]),
        false_alarm_s=float(parts["false alarm"]),
        confused_s=float(parts["confusion"]),
    )


def said_by(reference: Sequence[SpokenWords], found: Sequence[FoundSegment], language: str) -> SaidBy:
    """The concatenated minimum-permutation counts; text without a speaker is one more speaker's."""
    theirs = _by_speaker(((w.start_s, w.speaker, w.text) for w in reference), language)
    ours = _by_speaker(((s.start_s, s.speaker or "", s.text) for s in found), language)
    size = max(len(theirs), len(ours))
    theirs += [[]] * (size - len(theirs))
    ours += [[]] * (size - len(ours))
    costs = np.array([[Levenshtein.distance(a, b) for b in ours] for a in theirs]).reshape(size, size)
    rows, columns = linear_sum_assignment(costs)
    return SaidBy(words=sum(map(len, theirs)), edits=int(costs[rows, columns].sum()))


def _by_speaker(spoken: Iterable[tuple[float, str, str]], language: str) -> list[list[str]]:
    texts: dict[str, list[str]] = defaultdict(list)
    for _, speaker, text in sorted(spoken, key=lambda item: item[0]):
        texts[speaker].append(text)
    return [tokens(" ".join(parts), language) for parts in texts.values()]
