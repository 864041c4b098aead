"""Corrected text on the recording's clock."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.values import ReplacementSegment, Segment, Timing, Word
from streams.assembler.corrections import CORRECTED, revise
from streams.assembler.words import fill_times, join, split


def segment(text: str, start_ms: int = 0, language: str = "en", speaker_id: str = "spk1") -> Segment:
    tokens = split(text, language) if language != "ja" else list(text)
    words = tuple(
        Word(
            text=token,
            start_ms=start_ms + 500 * n,
            end_ms=start_ms + 500 * n + 400,
            confidence=0.5,
            speaker_id=speaker_id,
            timing=Timing.ALIGNED,
        )
        for n, token in enumerate(tokens)
    )
    end_ms = start_ms + 500 * len(words)
    return Segment(
        segment_id="s1-1",
        start_ms=start_ms,
        end_ms=end_ms,
        speaker_id=speaker_id,
        language=language,
        text=text,
        flags=("low_confidence",),
        words=words,
    )


def to(*texts: str, speaker_id: str | None = "spk1") -> list[ReplacementSegment]:
    return [ReplacementSegment(text=text, speaker_id=speaker_id) for text in texts]


def times(segment: Segment) -> list[tuple[str, int | None, int | None, str]]:
    return [(word.text, word.start_ms, word.end_ms, word.timing.value) for word in segment.words]


def test_kept_words_keep_their_times_and_a_replaced_one_takes_its_place() -> None:
    [revised] = revise([segment("I scream for ice.")], to("Ice cream, for ice."))
    assert times(revised) == [
        ("Ice", 0, 400, "interpolated"),
        ("cream,", 500, 900, "interpolated"),
        ("for", 1000, 1400, "aligned"),
        ("ice.", 1500, 1900, "aligned"),
    ]
    assert revised.flags == (CORRECTED,)
    assert (revised.start_ms, revised.end_ms, revised.confidence) == (0, 2000, 0.5)


def test_case_and_punctuation_are_no_new_word() -> None:
    [revised] = revise([segment("hello there")], to("Hello, there!"))
    assert times(revised) == [("Hello,", 0, 400, "aligned"), ("there!", 500, 900, "aligned")]


def test_inserted_words_share_the_room_between_their_neighbours() -> None:
    [revised] = revise([segment("one four")], to("one two three four"))
    assert times(revised)[1:3] == [("two", 400, 437, "interpolated"), ("three", 437, 500, "interpolated")]


def test_a_split_divides_words_and_span() -> None:
    first, second = revise([segment("one two three four")], to("one two", "three four"))
    assert (first.start_ms, first.end_ms, second.start_ms, second.end_ms) == (0, 900, 1000, 2000)
    assert [word.text for word in second.words] == ["three", "four"]


def test_a_merge_spans_both() -> None:
    [merged] = revise([segment("one two"), segment("three", 5_000)], to("one two three"))
    assert (merged.start_ms, merged.end_ms, merged.words[2].start_ms) == (0, 5_500, 5_000)


def test_the_speaker_is_the_author_s_choice() -> None:
    [revised] = revise([segment("one two")], to("one two", speaker_id=None))
    assert revised.speaker_id is None
    assert {word.speaker_id for word in revised.words} == {None}


def test_an_empty_replacement_leaves_nothing() -> None:
    assert revise([segment("one")], []) == ()


def test_text_without_words_lends_its_span() -> None:
    bare = replace(segment("one two"), words=())
    [revised] = revise([bare], to("one too"))
    assert [word.timing for word in revised.words] == [Timing.INTERPOLATED] * 2
    assert (revised.words[0].start_ms, revised.words[-1].end_ms) == (0, 1000)


def test_unspaced_languages_align_by_their_words() -> None:
    [revised] = revise([segment("今日は雨です", language="ja")], to("今日は晴です。"))
    assert join([word.text for word in revised.words], "ja") == "今日は晴です。"
    assert [word.timing.value for word in revised.words] == ["aligned"] * 3 + ["interpolated"] + ["aligned"] * 2


@pytest.mark.parametrize(
    ("text", "language", "words"),
    [
        ("Hello, you  two", "en", ["Hello,", "you", "two"]),
        ("今日はOpenAIの話。", "ja", ["今", "日", "は", "OpenAI", "の", "話。"]),
        ("", "en", []),
    ],
)
def test_split(text: str, language: str, words: list[str]) -> None:
    assert split(text, language) == words


def test_join_puts_a_space_only_where_the_language_has_one() -> None:
    assert join(["今日", "は", "Open", "AI"], "ja") == "今日はOpen AI"
    assert join(["one", "two"], "en") == "one two"


WORDS = st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), min_size=1, max_size=8)
TEXTS = WORDS.map(" ".join)


@given(base=st.lists(TEXTS, min_size=1, max_size=3), replacement=st.lists(TEXTS, max_size=3))
def test_laws_of_a_correction(base: list[str], replacement: list[str]) -> None:
    """Text is what was asked for, words are in order and inside the span, nothing kept is moved."""
    old = [segment(text, 10_000 * n) for n, text in enumerate(base)]
    revised = revise(old, to(*replacement))
    assert [item.text for item in revised] == replacement
    assert [" ".join(word.text for word in item.words) for item in revised] == replacement
    words = [word for item in revised for word in item.words]
    starts = [word.start_ms for word in words if word.start_ms is not None]
    assert len(starts) == len(words)
    assert starts == sorted(starts)
    assert all(old[0].start_ms <= (w.start_ms or 0) <= (w.end_ms or 0) <= old[-1].end_ms for w in words)
    kept = {(word.text, word.start_ms, word.end_ms) for item in old for word in item.words}
    assert all((w.text, w.start_ms, w.end_ms) in kept for w in words if w.timing is Timing.ALIGNED)
    assert all(item.start_ms <= item.end_ms for item in revised)


@given(base=st.lists(TEXTS, min_size=1, max_size=3))
def test_writing_the_same_again_changes_no_word(base: list[str]) -> None:
    old = [segment(text, 10_000 * n) for n, text in enumerate(base)]
    revised = revise(old, to(*base))
    assert [item.words for item in revised] == [item.words for item in old]


@given(
    words=st.lists(st.tuples(st.integers(0, 900) | st.none(), st.integers(0, 100)), max_size=8),
)
def test_filled_times_never_run_backwards(words: list[tuple[int | None, int]]) -> None:
    given_words = [
        Word(text="x", start_ms=start, end_ms=None if start is None else start + length) for start, length in words
    ]
    filled = fill_times(given_words, 0, 1_000)
    starts = [word.start_ms for word in filled]
    assert None not in starts
    assert starts == sorted(start for start in starts if start is not None)
