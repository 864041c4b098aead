"""Errors of word times: how far from the reference a word is said to begin.

In: reference words with their starts, and an engine's. Out: differences in ms, of words both have. Pure.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from bench.evaluation.hypothesis import FoundWord

_SPOKEN = re.compile(r"[a-z0-9']+")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedWord:
    """A word of the reference text; `start_ms` is None where the aligner is not to be relied on."""

    text: str
    start_ms: int | None


def plain_word(text: str) -> str:
    """A word as a pronouncing dictionary has it."""
    return "".join(_SPOKEN.findall(text.lower().replace("’", "'"))).strip("'")


def start_errors_ms(reference: Sequence[TimedWord], found: Sequence[FoundWord]) -> list[int]:
    """Found minus reference start, for each word that both have and time."""
    theirs = [plain_word(word.text) for word in found]
    runs = [run for run in Levenshtein.opcodes([word.text for word in reference], theirs) if run.tag == "equal"]
    pairs = [
        pair
        for run in runs
        for pair in zip(reference[run.src_start : run.src_end], found[run.dest_start : run.dest_end], strict=True)
    ]
    return [
        round(1000 * word.start_s) - truth.start_ms
        for truth, word in pairs
        if truth.start_ms is not None and word.start_s is not None
    ]
