"""Word errors against what they must be, and against another implementation."""

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.evaluation.errors_of_words import BLOCK_TOKENS, is_loop, right_words, tokens, total, word_errors

WORDS = st.lists(st.sampled_from("abcd"), min_size=1, max_size=70)


@given(WORDS, WORDS)
def test_the_errors_of_all_blocks_are_those_of_jiwer(reference: list[str], found: list[str]) -> None:
    blocks = word_errors(reference, found)
    theirs = jiwer.process_words(" ".join(reference), " ".join(found))
    assert total(blocks).errors == theirs.substitutions + theirs.deletions + theirs.insertions
    assert total(blocks).words == len(reference)
    assert all(block.words == BLOCK_TOKENS for block in blocks[:-1])


def test_an_error_counts_where_it_is() -> None:
    reference = [f"w{n}" for n in range(2 * BLOCK_TOKENS)]
    found = [*reference[:-1], "other", "more"]
    first, second = word_errors(reference, found)
    assert first.errors == 0
    assert (second.substitutions, second.insertions, second.deletions) == (1, 1, 0)


def test_words_without_a_reference_are_insertions() -> None:
    [block] = word_errors([], ["thank", "you"])
    assert (block.words, block.insertions) == (0, 2)


def test_spelling_that_says_the_same_is_no_error() -> None:
    assert tokens("It's twenty-five, colour!", "en") == tokens("it is 25 color", "en")
    assert tokens("Straße, groß.", "de") == ["straße", "groß"]


def test_japanese_is_compared_by_character() -> None:
    assert tokens("音声 です。", "ja") == ["音", "声", "で", "す"]


@pytest.mark.parametrize(("text", "loop"), [("yeah " * 60, True), ("We begin with the minutes.", False), ("", False)])
def test_a_loop_compresses_too_well(text: str, loop: bool) -> None:
    assert is_loop(text) is loop


def test_right_words_are_those_the_reference_has_there() -> None:
    assert right_words(["a", "b", "c"], ["a", "x", "c"]) == [True, False, True]
