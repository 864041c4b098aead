"""Which language each window is decoded in, and which one the chunk speaks.

In: the probabilities a model gives per window. Out: a language per window, and one for all. Pure.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

SURE = 0.5
SHORT_MS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What the model makes of one window: its length, and the probability of each language."""

    length_ms: int
    probabilities: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """A language and the probability the model gives it."""

    code: str
    probability: float


def among(probabilities: Mapping[str, float], allowed: Collection[str]) -> dict[str, float]:
    """The probabilities where only `allowed` languages are spoken, if any are named."""
    kept = {code: p for code, p in probabilities.items() if code in allowed} if allowed else dict(probabilities)
    total = sum(kept.values())
    return {code: p / total for code, p in kept.items()} if allowed and total > 0 else kept


def rivals(probabilities: Mapping[str, float]) -> list[Language]:
    """The two likeliest languages of a window that nothing else tells about; only the likeliest where it is clear."""
    ranked = sorted(probabilities, key=lambda code: -probabilities[code])[:2]
    kept = ranked[:1] if ranked and probabilities[ranked[0]] >= SURE else ranked
    return [Language(code=code, probability=probabilities[code]) for code in kept]


def choose(windows: Sequence[Heard]) -> list[Language]:
    """Its own language for each window, but that of its neighbours for one that is short or unclear."""
    totals: dict[str, float] = defaultdict(float)
    for window in windows:
        for code, probability in window.probabilities.items():
            totals[code] += probability * window.length_ms
    shared = max(totals, key=lambda code: totals[code], default="")
    return [_of_window(window, shared) for window in windows]


def vote(spoken: Iterable[tuple[Language, int]]) -> Language | None:
    """The language of most of the time, given each passage's language and length in ms; None without speech."""
    lengths: dict[str, int] = defaultdict(int)
    sure: dict[str, float] = defaultdict(float)
    for language, length_ms in spoken:
        lengths[language.code] += length_ms
        sure[language.code] += language.probability * length_ms
    if not lengths:
        return None
    code = max(lengths, key=lambda code: lengths[code])
    return Language(code=code, probability=min(1.0, sure[code] / max(1, lengths[code])))


def _of_window(window: Heard, shared: str) -> Language:
    own = max(window.probabilities, key=lambda code: window.probabilities[code])
    clear = window.probabilities[own] >= SURE and window.length_ms >= SHORT_MS
    code = own if clear else shared
    return Language(code=code, probability=window.probabilities.get(code, 0.0))
