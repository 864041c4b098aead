"""Word errors: where a transcript differs from the reference, counted in blocks of the reference.

In: two texts and their language. Out: counts per block, so that one long clip has many units to draw from. Pure.
Words are compared as Whisper's normalisers leave them (English's own, else the basic one); Japanese and Chinese are
compared by character.
"""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from rapidfuzz.distance import Levenshtein
from whisper_normalizer.basic import BasicTextNormalizer
from whisper_normalizer.english import EnglishTextNormalizer

BLOCK_TOKENS = 20
BY_CHARACTER = frozenset({"ja", "zh", "yue"})
LOOP_COMPRESSION_RATIO = 2.4


@dataclass(frozen=True, slots=True, kw_only=True)
class WordErrors:
    """Errors in so many words of a reference."""

    words: int
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    @property
    def errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions


def tokens(text: str, language: str) -> list[str]:
    """What is compared."""
    normal = _normaliser(language)(text)
    return [sign for sign in normal if not sign.isspace()] if language in BY_CHARACTER else normal.split()


def word_errors(reference: Sequence[str], found: Sequence[str]) -> list[WordErrors]:
    """Errors of each block of the reference, of the alignment with the fewest; at least one block."""
    count = max(1, -(-len(reference) // BLOCK_TOKENS))
    wrong = [{"replace": 0, "delete": 0, "insert": 0} for _ in range(count)]
    for edit in Levenshtein.editops(list(reference), list(found)):
        wrong[min(edit.src_pos // BLOCK_TOKENS, count - 1)][edit.tag] += 1
    return [
        WordErrors(
            words=len(reference[i * BLOCK_TOKENS : (i + 1) * BLOCK_TOKENS]),
            substitutions=block["replace"],
            deletions=block["delete"],
            insertions=block["insert"],
        )
        for i, block in enumerate(wrong)
    ]


def total(blocks: Iterable[WordErrors]) -> WordErrors:
    """The sum."""
    all_blocks = list(blocks)
    return WordErrors(
        words=sum(b.words for b in all_blocks),
        substitutions=sum(b.substitutions for b in all_blocks),
        deletions=sum(b.deletions for b in all_blocks),
        insertions=sum(b.insertions for b in all_blocks),
    )


def is_loop(text: str) -> bool:
    """Whether a text repeats itself as no speech does."""
    data = text.strip().encode()
    return bool(data) and len(data) / len(zlib.compress(data)) > LOOP_COMPRESSION_RATIO


@cache
def _normaliser(language: str) -> EnglishTextNormalizer | BasicTextNormalizer:
    return EnglishTextNormalizer() if language == "en" else BasicTextNormalizer()


def right_words(reference: Sequence[str], found: Sequence[str]) -> list[bool]:
    """For each word found, whether the reference has it there."""
    right = [False] * len(found)
    for run in Levenshtein.opcodes(list(reference), list(found)):
        if run.tag == "equal":
            right[run.dest_start : run.dest_end] = [True] * (run.dest_end - run.dest_start)
    return right
