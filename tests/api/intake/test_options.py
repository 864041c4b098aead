"""Options: what is accepted is exactly what was meant, whatever is sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.intake.names import clean_name, disposition_name
from api.intake.options import LANGUAGES, MAX_PROMPT_CHARS, MAX_SPEAKERS, OPTION_NAMES, read_options
from api.refusals import Invalid
from schemas.values import Quality, TranscriptionOptions


def test_nothing_given_means_the_defaults() -> None:
    assert read_options([], "query") == TranscriptionOptions()


def test_empty_fields_count_as_not_given() -> None:
    assert read_options([(name, " ") for name in OPTION_NAMES], "body") == TranscriptionOptions()


def test_terms_may_be_repeated_or_separated() -> None:
    given = read_options([("vocabulary", "a, b"), ("vocabulary", "b,c,")], "query")
    assert given.vocabulary == ("a", "b", "c")


def test_the_words_can_be_steered() -> None:
    given = [
        ("languages", "EN, de"),
        ("task", "translate"),
        ("quality", "Accurate"),
        ("prompt", "Minutes\nof the board"),
    ]
    options = read_options(given, "query")
    assert options.languages == ("en", "de")
    assert options.translate and options.quality is Quality.ACCURATE
    assert options.prompt == "Minutes of the board"
    assert not read_options([("task", "transcribe")], "query").translate


@pytest.mark.parametrize(
    "fields",
    [
        [("languages", "en,tlh")],
        [("languages", "en,de"), ("language", "en")],
        [("task", "sing")],
        [("quality", "best")],
        [("prompt", "x" * (MAX_PROMPT_CHARS + 1))],
        [("prompt", "a\x00b")],
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(fields: list[tuple[str, str]]) -> None:
    with pytest.raises(Invalid):
        read_options(fields, "query")


@given(st.lists(st.tuples(st.sampled_from([*OPTION_NAMES, "other"]), st.text(max_size=20)), max_size=6))
def test_any_fields_are_read_or_refused_with_pointers(fields: list[tuple[str, str]]) -> None:
    try:
        options = read_options(fields, "query")
    except Invalid as refusal:
        assert refusal.errors and all(error.pointer.startswith("/") for error in refusal.errors)
        return
    assert options.language is None or options.language in LANGUAGES
    for number in (options.num_speakers, options.min_speakers, options.max_speakers):
        assert number is None or 1 <= number <= MAX_SPEAKERS


@given(st.text())
def test_a_clean_name_is_no_path(name: str) -> None:
    cleaned = clean_name(name)
    assert cleaned is None or (0 < len(cleaned) <= 255 and cleaned.isprintable() and "/" not in cleaned)


@given(st.text(st.characters(codec="latin-1")))
def test_any_disposition_is_survived(header: str) -> None:
    disposition_name(header)


def test_both_forms_of_a_name_are_read() -> None:
    assert disposition_name('attachment; filename="a b.wav"') == "a b.wav"
    assert disposition_name("attachment; filename*=UTF-8''%e2%82%ac.wav") == "€.wav"
    assert disposition_name("inline") is None
