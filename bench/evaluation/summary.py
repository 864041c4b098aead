"""Scores of many clips as rates of groups, engine beside engine.

In: scores. Out: one Row a group, each engine's figures in it, and differences with their intervals. Pure.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.evaluation.bootstrap import difference_interval
from bench.evaluation.calibration import Calibration, calibration
from bench.evaluation.scores import Score

NEAR_MS = 200
CLIPS_ENOUGH = 5  # with fewer, blocks of words are drawn instead of clips
ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """One engine's figures on a group; None where nothing in the group says."""

    wer: float | None
    deletions: int
    insertions: int
    loops: int
    wrong_languages: int
    der: float | None
    der_with_collar: float | None
    cpwer: float | None
    speaker_count_error: float | None
    timed_words: int
    start_median_ms: float | None
    start_near: float | None
    wall_s: Mapping[str, float]
    processor_s: Mapping[str, float]
    peak_bytes: int
    flags: Mapping[str, int]
    calibration: Calibration | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A group of clips; `wer_difference` is the first engine's rate minus the other's, in an interval, by engine."""

    group: str
    language: str
    clips: int
    audio_s: float
    rates: Mapping[str, Rates]
    wer_difference: Mapping[str, tuple[float, float]]
    der_difference: Mapping[str, tuple[float, float]]


def rows(scores: Sequence[Score]) -> list[Row]:
    """A row for each group and language, one for each language and one for everything."""
    keys = dict.fromkeys((score.group, score.language) for score in scores)
    languages = dict.fromkeys(score.language for score in scores)
    found = [_row(g, lang, [s for s in scores if (s.group, s.language) == (g, lang)]) for g, lang in keys]
    found += [_row(ALL, lang, [s for s in scores if s.language == lang]) for lang in languages if len(languages) > 1]
    return [*found, _row(ALL, ALL, scores)]


def _row(group: str, language: str, scores: Sequence[Score]) -> Row:
    engines = {name: [s for s in scores if s.engine == name] for name in dict.fromkeys(s.engine for s in scores)}
    first = next(iter(engines))
    others = [name for name in engines if name != first]
    return Row(
        group=group,
        language=language,
        clips=len(engines[first]),
        audio_s=sum(score.duration_s for score in engines[first]),
        rates={name: rates(mine) for name, mine in engines.items()},
        wer_difference=_intervals(others, lambda name: _word_interval(engines[first], engines[name])),
        der_difference=_intervals(others, lambda name: _turn_interval(engines[first], engines[name])),
    )


def _intervals(
    names: Sequence[str], interval: Callable[[str], tuple[float, float] | None]
) -> dict[str, tuple[float, float]]:
    return {name: found for name in names if (found := interval(name)) is not None}


def rates(scores: Sequence[Score]) -> Rates:
    """The figures of one engine's scores."""
    words = [score.words for score in scores if score.blocks is not None]
    said = [score.said_by for score in scores if score.said_by is not None]
    starts = [abs(error) for score in scores for error in score.start_errors_ms]
    counts = [abs(score.speaker_count_error) for score in scores if score.speaker_count_error is not None]
    turns = [score.turns for score in scores if score.turns is not None]
    near = [score.turns_with_collar for score in scores if score.turns_with_collar is not None]
    return Rates(
        wer=_rate((w.errors for w in words), (w.words for w in words)),
        deletions=sum(w.deletions for w in words),
        insertions=sum(w.insertions for w in words),
        loops=sum(score.loops for score in scores),
        wrong_languages=sum(s.found_language not in (None, s.language) for s in scores if s.blocks is not None),
        der=_rate((t.errors_s for t in turns), (t.speech_s for t in turns)),
        der_with_collar=_rate((t.errors_s for t in near), (t.speech_s for t in near)),
        cpwer=_rate((s.edits for s in said), (s.words for s in said)),
        speaker_count_error=sum(counts) / len(counts) if counts else None,
        timed_words=len(starts),
        start_median_ms=median(starts) if starts else None,
        start_near=sum(error <= NEAR_MS for error in starts) / len(starts) if starts else None,
        wall_s=_by_stage(scores, lambda time: time.wall_s),
        processor_s=_by_stage(scores, lambda time: time.processor_s),
        peak_bytes=max(score.peak_bytes for score in scores),
        flags=_added(score.flags for score in scores),
        calibration=calibration([word for score in scores for word in score.judged]),
    )


def _rate(errors: Iterable[float], sizes: Iterable[float]) -> float | None:
    size = sum(sizes)
    return sum(errors) / size if size else None


def _by_stage(scores: Sequence[Score], seconds: Callable[[Any], float]) -> dict[str, float]:
    return _added({name: seconds(time) for name, time in score.stages.items()} for score in scores)


def _added(figures: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    added: dict[str, Any] = {}
    for one in figures:
        for name, value in one.items():
            added[name] = added.get(name, 0) + value
    return added


def _word_interval(first: Sequence[Score], second: Sequence[Score]) -> tuple[float, float] | None:
    """Over clips where there are some, else over blocks of their words."""
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if a.blocks and b.blocks]
    if len(pairs) >= CLIPS_ENOUGH:
        units = [(a.words, b.words) for a, b in pairs]
    else:
        units = [unit for a, b in pairs for unit in zip(a.blocks or (), b.blocks or (), strict=True)]
    return difference_interval([a.errors for a, _ in units], [b.errors for _, b in units], [a.words for a, _ in units])


def _turn_interval(first: Sequence[Score], second: Sequence[Score]) -> tuple[float, float] | None:
    units = [(a.turns, b.turns) for a, b in zip(first, second, strict=True) if a.turns and b.turns]
    return difference_interval(
        [a.errors_s for a, _ in units], [b.errors_s for _, b in units], [a.speech_s for a, _ in units]
    )
