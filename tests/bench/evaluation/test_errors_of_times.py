"""Which words are compared, and by how much they are off."""

import pytest

from bench.evaluation.errors_of_times import TimedWord, plain_word, start_errors_ms
from bench.evaluation.hypothesis import FoundWord


def test_only_words_that_both_have_and_time_are_compared() -> None:
    truth = [TimedWord(text=t, start_ms=s) for t, s in (("ask", 100), ("not", None), ("what", 500), ("you", 800))]
    found = [
        FoundWord(text="Ask", start_s=0.15),
        FoundWord(text="not", start_s=0.3),
        FoundWord(text="when", start_s=0.5),
        FoundWord(text="you."),
    ]
    assert start_errors_ms(truth, found) == [50]


@pytest.mark.parametrize(("text", "plain"), [("Didn’t,", "didn't"), ("'Kay", "kay"), ("25", "25"), ("—", "")])
def test_words_are_compared_as_a_dictionary_has_them(text: str, plain: str) -> None:
    assert plain_word(text) == plain
