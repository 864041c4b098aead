"""Vocabulary: what fits is a prompt, what does not is told."""

from hypothesis import given
from hypothesis import strategies as st

from streams.speech.engines.prompts import (
    PROMPT_TOKENS_MAX,
    dropped_warning,
    prompt,
    prompt_warnings,
    vocabulary_prompt,
)


def encode(text: str) -> list[int]:
    return [ord(sign) for sign in text]


def decoded(tokens: tuple[int, ...]) -> str:
    return "".join(chr(token) for token in tokens)


def test_terms_are_listed() -> None:
    prompt = vocabulary_prompt(["Palimpsest", " ", "Kowloon "], encode)
    assert decoded(prompt.tokens) == " Palimpsest, Kowloon"
    assert dropped_warning(prompt) == ()


@given(st.lists(st.text("abc", min_size=1, max_size=120), max_size=30))
def test_each_term_is_in_the_prompt_or_reported(terms: list[str]) -> None:
    prompt = vocabulary_prompt(terms, encode)
    assert len(prompt.tokens) <= PROMPT_TOKENS_MAX
    kept = [term for term in decoded(prompt.tokens).strip().split(", ") if term]
    assert sorted([*kept, *prompt.dropped]) == sorted(terms)


def test_dropped_terms_are_named() -> None:
    [warning] = dropped_warning(vocabulary_prompt(["a" * 200, "b" * 200, "c"], encode))
    assert warning.code == "vocabulary_truncated"
    assert "b" * 200 in warning.message and "aaa" not in warning.message


def test_the_text_of_a_prompt_stands_last_and_terms_take_what_is_left() -> None:
    found = prompt(" Minutes of the board. ", ["Palimpsest", "x" * 210], encode)
    assert decoded(found.tokens) == " Palimpsest Minutes of the board."
    assert found.dropped == ("x" * 210,)
    assert [warning.code for warning in prompt_warnings(found)] == ["vocabulary_truncated"]


def test_of_a_prompt_that_is_too_long_the_end_is_used_and_that_is_told() -> None:
    found = prompt("a" * 400 + "end", [], encode)
    assert len(found.tokens) == PROMPT_TOKENS_MAX and decoded(found.tokens).endswith("end")
    assert [warning.code for warning in prompt_warnings(found)] == ["prompt_truncated"]
    assert prompt(None, [], encode).tokens == prompt(" ", [], encode).tokens == ()
