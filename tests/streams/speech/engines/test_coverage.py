"""Speech without words: where it is, and how what a second try found there joins the rest."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from schemas.values import Passage, Timing, Word
from streams.speech.engines.coverage import (
    MISSING_MIN_MS,
    SPARSE,
    WINDOW_MS,
    WORD_REACH_MS,
    is_sparse,
    merged,
    missing,
    parts,
    replaced,
    split,
)
from streams.speech.engines.spans import Span


def span(start_ms: int, end_ms: int) -> Span:
    return Span(start_ms=start_ms, end_ms=end_ms)


def passage(*words: tuple[str, int, int], language: str = "en") -> Passage:
    made = tuple(Word(text=t, start_ms=a, end_ms=b, timing=Timing.ALIGNED) for t, a, b in words)
    return Passage(
        start_ms=words[0][1],
        end_ms=words[-1][2],
        text=" ".join(word.text for word in made),
        language=language,
        language_probability=0.9,
        avg_logprob=-0.2,
        no_speech_probability=0.0,
        compression_ratio=1.0,
        temperature=0.0,
        flags=("retried",),
        words=made,
    )


def test_speech_between_words_that_is_long_enough_is_missing() -> None:
    found = missing([span(0, 12_000)], [span(0, 1_000), span(9_000, 12_000)])
    assert found == [span(1_000 + WORD_REACH_MS, 9_000 - WORD_REACH_MS)]


def test_a_breath_between_words_is_not_missing() -> None:
    assert missing([span(0, 4_000)], [span(0, 1_000), span(3_000, 4_000)]) == []


def test_silence_without_words_is_not_missing() -> None:
    assert missing([span(0, 1_000), span(20_000, 21_000)], [span(0, 900), span(20_100, 21_000)]) == []


def test_long_stretches_are_cut_into_equal_windows() -> None:
    found = missing([span(0, 29_000)], [])
    assert found == [span(0, 14_500), span(14_500, 29_000)]


spans = st.lists(st.tuples(st.integers(0, 60_000), st.integers(1, 20_000)).map(lambda p: span(p[0], p[0] + p[1])))


@given(spans, spans)
def test_what_is_missing_is_speech_and_far_from_every_word(speech: list[Span], words: list[Span]) -> None:
    for found in missing(speech, words):
        assert MISSING_MIN_MS // 2 <= found.length_ms <= WINDOW_MS
        assert all(found.overlap(word).length_ms <= 0 for word in words)
        assert sum(max(0, found.overlap(part).length_ms) for part in speech) >= found.length_ms


def test_a_passage_is_split_between_its_words() -> None:
    whole = passage(("ask", 100, 400), ("not", 500, 800), ("what", 9_000, 9_300))
    first, second = split(whole, 4_000)
    assert (first.text, second.text) == ("ask not", "what")
    assert (first.end_ms, second.start_ms) == (4_000, 9_000)
    assert first.flags == second.flags == ("retried",)
    assert split(whole, 50) == split(whole, 9_500) == [whole]


def test_text_without_spaces_is_split_without_them() -> None:
    first, _ = split(passage(("音", 0, 100), ("声", 100, 200), ("で", 5_000, 5_100), language="ja"), 2_000)
    assert first.text == "音声"


def test_recovered_words_stand_where_they_were_said() -> None:
    whole = passage(("ask", 100, 400), ("what", 9_000, 9_300))
    found = merged([whole], [passage(("not", 3_000, 4_000))])
    assert [word.text for part in found for word in part.words] == ["ask", "not", "what"]
    assert all(a.start_ms <= b.start_ms for a, b in pairwise(found))
    assert all(
        part.start_ms <= (w.start_ms or 0) <= (w.end_ms or 0) <= part.end_ms for part in found for w in part.words
    )


def test_few_words_over_much_speech_are_sparse() -> None:
    few = passage(("so", 0, 500), ("we", 9_000, 18_000))
    assert is_sparse(few, [span(0, 18_000)])
    assert not is_sparse(few, [span(0, 500), span(9_000, 10_000)]), "most of it is silence"
    many = passage(*((f"word{n}", 600 * n, 600 * n + 500) for n in range(30)))
    assert not is_sparse(many, [span(0, 18_000)])


def test_a_sparse_passage_gives_way_to_much_more_text_only() -> None:
    few = passage(("so", 0, 500), ("we", 9_000, 18_000))
    more = passage(("so", 0, 500), ("what", 600, 900), ("shall", 1_000, 1_300), ("we", 9_000, 9_300))
    other = passage(("yes", 20_000, 20_300))
    assert replaced([few, other], [few], [more]) == [more, other]
    [kept, _] = replaced([few, other], [few], [passage(("so", 0, 500))])
    assert kept.text == few.text and SPARSE in kept.flags


def test_a_window_is_tried_in_parts_cut_at_its_pause() -> None:
    assert parts(span(0, 20_000), None) == [span(0, 10_000), span(10_000, 20_000)]
    assert parts(span(0, 20_000), (span(0, 7_000), span(8_000, 20_000))) == [span(0, 7_000), span(8_000, 20_000)]
