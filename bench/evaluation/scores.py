"""The score of one engine on one clip.

In: a clip, what an engine made of it, and when its words begin. Out: counts, from which rates of any group follow.
Pure, but for the file of reference turns.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyannote.core import Annotation
from pyannote.database.util import load_rttm

from bench.evaluation.calibration import JudgedWord
from bench.evaluation.errors_of_speakers import COLLAR_S, SaidBy, TurnErrors, said_by, turn_errors
from bench.evaluation.errors_of_times import TimedWord, start_errors_ms
from bench.evaluation.errors_of_words import WordErrors, is_loop, right_words, tokens, total, word_errors
from bench.evaluation.hypothesis import FoundWord, Hypothesis, StageTime
from bench.evaluation.manifest import Clip


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What was counted on one clip; None where the reference or the engine does not say."""

    engine: str
    clip_id: str
    group: str
    language: str
    duration_s: float
    stages: Mapping[str, StageTime]
    peak_bytes: int
    text: str
    found_language: str | None
    blocks: tuple[WordErrors, ...] | None = None
    loops: int = 0
    flags: Mapping[str, int]
    turns: TurnErrors | None = None
    turns_with_collar: TurnErrors | None = None
    speaker_count_error: int | None = None
    said_by: SaidBy | None = None
    start_errors_ms: tuple[int, ...] = ()
    judged: tuple[JudgedWord, ...] = ()

    @property
    def words(self) -> WordErrors:
        return total(self.blocks or ())


def score(engine: str, clip: Clip, found: Hypothesis, timed: Sequence[TimedWord]) -> Score:
    """The engine's score on the clip."""
    heard = found.passages or not found.turns
    reference = _turns(clip.turns) if clip.turns is not None and found.turns is not None else None
    with_words = clip.text is not None and heard
    return Score(
        engine=engine,
        clip_id=clip.clip_id,
        group=clip.group,
        language=clip.language,
        duration_s=clip.duration_s,
        stages=found.stages,
        peak_bytes=found.peak_bytes,
        text=found.text,
        found_language=found.language,
        blocks=_blocks(clip, found) if with_words else None,
        loops=sum(is_loop(passage.text) for passage in found.passages),
        flags=_flags(found),
        turns=None if reference is None else turn_errors(reference, found.turns or (), clip.duration_s, 0.0),
        turns_with_collar=(
            None if reference is None else turn_errors(reference, found.turns or (), clip.duration_s, COLLAR_S)
        ),
        speaker_count_error=(
            None if reference is None else len({t.speaker for t in found.turns or ()}) - len(reference.labels())
        ),
        said_by=said_by(clip.words, found.segments, clip.language) if reference is not None and clip.words else None,
        start_errors_ms=tuple(start_errors_ms(timed, found.words)),
        judged=tuple(_judged(clip, found.words)) if with_words else (),
    )


def _turns(file: Path) -> Annotation:
    [annotation] = load_rttm(str(file)).values()  # type: ignore[no-untyped-call]
    return annotation


def _blocks(clip: Clip, found: Hypothesis) -> tuple[WordErrors, ...]:
    return tuple(word_errors(tokens(clip.text or "", clip.language), tokens(found.text, clip.language)))


def _flags(found: Hypothesis) -> dict[str, int]:
    flags = sorted(flag for passage in found.passages for flag in passage.flags)
    return {flag: flags.count(flag) for flag in dict.fromkeys(flags)}


def _judged(clip: Clip, words: Sequence[FoundWord]) -> Iterator[JudgedWord]:
    """Each word that has a confidence and is one word to the normaliser too."""
    normal = [(tokens(word.text, clip.language), word) for word in words]
    single = [(found[0], word) for found, word in normal if len(found) == 1]
    right = right_words(tokens(clip.text or "", clip.language), [text for text, _ in single])
    for (_, word), is_right in zip(single, right, strict=True):
        if word.confidence is not None:
            yield JudgedWord(
                confidence=word.confidence,
                segment_confidence=word.segment_confidence,
                right=is_right,
                flagged=word.doubted,
            )
