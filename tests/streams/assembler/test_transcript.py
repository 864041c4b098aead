"""Words and turns to segments."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.values import Passage, Speaker, Timing
from streams.assembler.transcript import LONGEST_SEGMENT_MS, consensus, transcript
from streams.assembler.turns import Turn, TurnIndex
from tests.streams.assembler.given import passage


def turns(*spans: tuple[int, int, str]) -> list[Turn]:
    return [Turn(start_ms=start, end_ms=end, speaker=who) for start, end, who in spans]


def texts(passages: list[Passage], spoken: list[Turn] | None = None) -> list[tuple[str | None, str]]:
    made = transcript(passages, spoken or [], None, {})
    return [(segment.speaker_id, segment.text) for segment in made.segments]


def test_sentences_make_segments() -> None:
    text = "This is the first of them. And here is the second one! Is this the third?"
    assert [line for _, line in texts([passage(text, 0)])] == [
        "This is the first of them.",
        "And here is the second one!",
        "Is this the third?",
    ]


def test_short_sentences_that_follow_at_once_stay_together() -> None:
    assert len(texts([passage("Yes. No. Maybe. I do not know.", 0)])) < 4


def test_abbreviations_end_no_sentence() -> None:
    assert len(texts([passage("We met at half past ten a.m. in the big hall.", 0)])) == 1


def test_japanese_sentences_end_with_their_own_mark() -> None:
    spoken = passage("今日は 良い 天気 です ね。 明日は 雨が 降る でしょう。", 0, "ja", word_ms=500)
    assert [line for _, line in texts([spoken])] == ["今日は良い天気ですね。", "明日は雨が降るでしょう。"]


def test_a_turn_ends_a_segment_and_speakers_count_in_order_of_first_speech() -> None:
    spoken = turns((0, 1_190, "7"), (1_190, 3_000, "2"))
    assert texts([passage("one two three four five six seven eight", 0)], spoken) == [
        ("spk1", "one two three four"),
        ("spk2", "five six seven eight"),
    ]


def test_a_pause_ends_a_segment() -> None:
    assert len(texts([passage("one two", 0), passage("three four", 5_000)])) == 2


def test_long_talk_without_marks_is_cut() -> None:
    made = transcript([passage("word " * 300, 0)], [], None, {})
    assert all(segment.end_ms - segment.start_ms <= LONGEST_SEGMENT_MS for segment in made.segments)


def test_a_word_beside_a_turn_belongs_to_it_and_one_far_away_to_nobody() -> None:
    spoken = turns((0, 1_000, "0"))
    assert texts([passage("near", 1_500), passage("far", 9_000)], spoken) == [("spk1", "near"), (None, "far")]


def test_in_overlapped_talk_the_speaker_before_goes_on() -> None:
    spoken = turns((0, 3_000, "a"), (1_000, 1_600, "b"))
    assert texts([passage("one two three four five six seven", 0)], spoken) == [
        ("spk1", "one two three four five six seven")
    ]


def test_a_back_channel_of_its_own_is_its_speaker_s() -> None:
    spoken = turns((0, 1_180, "a"), (1_190, 1_500, "b"), (1_500, 3_000, "a"))
    assert texts([passage("I was there yesterday. Yeah. And then we left", 0)], spoken) == [
        ("spk1", "I was there yesterday."),
        ("spk2", "Yeah."),
        ("spk1", "And then we left"),
    ]


def test_one_doubtful_word_inside_a_sentence_does_not_change_speaker() -> None:
    spoken = turns((0, 600, "a"), (700, 760, "b"), (800, 3_000, "a"))
    assert len(texts([passage("one two three four five", 0)], spoken)) == 1


@pytest.mark.parametrize("border_ms", [900, 1_500])
def test_a_change_of_speaker_beside_the_end_of_a_sentence_is_there(border_ms: int) -> None:
    """The third word begins at 900 ms, the fourth at 1200 ms; the sentence ends with the fourth."""
    said = [passage("It was me then. And I am Sheila.", 0)]
    spoken = turns((0, border_ms, "a"), (border_ms, 3_000, "b"))
    assert texts(said, spoken) == [("spk1", "It was me then."), ("spk2", "And I am Sheila.")]


def test_a_change_of_speaker_far_from_the_end_of_a_sentence_stays() -> None:
    said = [passage("It was me and so on and on it went until he said enough.", 0)]
    assert texts(said, turns((0, 1_200, "a"), (1_200, 9_000, "b")))[0] == ("spk1", "It was me and")


def test_passages_without_words_get_interpolated_ones() -> None:
    bare = Passage(
        start_ms=0,
        end_ms=3_000,
        text="no aligner here",
        language="en",
        language_probability=1.0,
        avg_logprob=0.0,
        no_speech_probability=0.0,
        compression_ratio=1.0,
        temperature=0.0,
    )
    [segment] = transcript([bare], [], None, {}).segments
    assert [word.timing for word in segment.words] == [Timing.INTERPOLATED] * 3
    assert (segment.start_ms, segment.end_ms) == (0, 3_000)


def test_a_language_heard_once_is_a_slip() -> None:
    long = passage("word " * 60, 0, "de")
    slip = passage("word", 60_000, "cy")
    made = transcript([long, slip], [], None, {})
    assert made.language == "de"
    assert {segment.language for segment in made.segments} == {"de"}


def test_two_languages_are_both_kept() -> None:
    made = transcript([passage("word " * 20, 0, "de"), passage("word " * 20, 30_000, "fr")], [], None, {})
    assert {segment.language for segment in made.segments} == {"de", "fr"}


def test_consensus_of_nothing_is_nothing() -> None:
    assert consensus([]) is None


def test_known_speakers_keep_their_ids_and_new_ones_count_on() -> None:
    existing = {
        "spk1": Speaker(speaker_id="spk1", label="Speaker 1", speech_ms=100),
        "spk3": Speaker(speaker_id="spk3", label="Speaker 3", speech_ms=100),
    }
    spoken = turns((0, 590, "new-0"), (590, 1_200, "spk3"))
    made = transcript([passage("one two three four", 0)], spoken, None, existing)
    assert [segment.speaker_id for segment in made.segments] == ["spk4", "spk3"]
    assert [(who.speaker_id, who.speech_ms) for who in made.speakers] == [("spk1", 100), ("spk3", 710), ("spk4", 590)]


@pytest.mark.parametrize(("confidence", "flags"), [(0.65, ("low_confidence",)), (0.75, ())])
def test_a_segment_of_doubtful_words_is_flagged(confidence: float, flags: tuple[str, ...]) -> None:
    said = passage("These words are said.", 0)
    words = tuple(replace(word, confidence=confidence) for word in said.words)
    [segment] = transcript([replace(said, words=words)], [], None, {}).segments
    assert segment.flags == flags


def test_flags_of_most_words_and_overlap() -> None:
    spoken = turns((0, 3_000, "a"), (0, 3_000, "b"))
    [segment] = transcript([passage("one two three", 0)], spoken, None, {}).segments
    assert segment.flags == ("overlap",)


SPANS = st.lists(
    st.tuples(st.integers(0, 9_000), st.integers(1, 4_000), st.sampled_from("abc")).map(
        lambda t: Turn(start_ms=t[0], end_ms=t[0] + t[1], speaker=t[2])
    ),
    max_size=8,
)
LINES = st.lists(st.sampled_from(["one", "two.", "three,", "four?", "Five"]), min_size=1, max_size=20).map(" ".join)


@given(lines=st.lists(LINES, max_size=3), spoken=SPANS)
def test_laws_of_segments(lines: list[str], spoken: list[Turn]) -> None:
    """No word is lost, segments are in order, and none holds two speakers."""
    passages = [passage(line, 7_000 * n) for n, line in enumerate(lines)]
    made = transcript(passages, spoken, None, {})
    assert [w.text for s in made.segments for w in s.words] == [w for line in lines for w in line.split()]
    assert all(a.start_ms <= b.start_ms for a, b in pairwise(made.segments))
    for segment in made.segments:
        assert {word.speaker_id for word in segment.words} == {segment.speaker_id}
        assert segment.start_ms <= segment.end_ms
    first_heard = dict.fromkeys(s.speaker_id for s in made.segments if s.speaker_id)
    assert list(first_heard) == [speaker.speaker_id for speaker in made.speakers]


@pytest.mark.parametrize(("start", "end", "shared"), [(0, 500, 0), (900, 2_000, 500), (1_000, 1_500, 500)])
def test_overlapped_time(start: int, end: int, shared: int) -> None:
    index = TurnIndex(turns((0, 1_500, "a"), (1_000, 2_000, "b")))
    assert index.overlapped(start, end) == shared


def test_what_no_database_takes_is_left_out() -> None:
    """Byte tokens of a model can make a NUL, and a fact that holds one could never be projected."""
    made = transcript([passage("One\0two \0 three.", 0)], [], None, {})
    assert [segment.text for segment in made.segments] == ["Onetwo three."]
    assert [word.text for segment in made.segments for word in segment.words] == ["Onetwo", "three."]
