"""Export files: as the golden files have them, readable in time, harmless whatever was said.

`python -m tests.projections.test_exports` writes the golden files anew; look at the difference before you keep it.
"""

import re
import unicodedata
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.exports import FORMATS
from projections.exports.captions import CUE_MS, LINE_COLUMNS, LINES, cues
from projections.exports.neutral import columns, one_line
from projections.transcripts.views import SegmentView, SpeakerView
from schemas.values import Word
from tests.projections.transcripts_shown import ADA, SHOWN, shown, transcript

GOLDEN = Path(__file__).parent.parent / "golden" / "exports"
ANY_TEXT = st.text(max_size=200) | st.lists(
    st.sampled_from(
        ["word", "sentence.", "-->", "<b>", "</v>", "\n\n", "{\\an1}", "\u202e", "長い", "a" * 60, "&", " "]
    ),
    max_size=40,
).map(" ".join)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("case", SHOWN)
def test_files_are_as_they_were(name: str, case: str) -> None:
    golden = GOLDEN / f"{case}.{FORMATS[name].extension}"
    assert FORMATS[name].render(SHOWN[case]) == golden.read_text(encoding="utf-8")


@st.composite
def _segments(draw: st.DrawFn) -> SegmentView:
    """A segment whose words may be anything: another text, backward times, none."""
    text = draw(ANY_TEXT)
    start_ms = draw(st.integers(0, 10_000))
    time = st.none() | st.integers(0, 30_000)
    texts = draw(st.sampled_from([text.split(), [], ["other", *text.split()]]))
    words = [Word(text=each, start_ms=draw(time), end_ms=draw(time)) for each in texts[:20]]
    name = draw(ANY_TEXT)
    speaker = draw(st.sampled_from([None, ADA, SpeakerView(speaker_id="spk9", label="x", name=name, speech_ms=0)]))
    return shown(text, (start_ms, start_ms + draw(st.integers(0, 60_000))), speaker, words)


@given(_segments())
def test_cues_hold_the_whole_text_in_short_lines_in_order(segment: SegmentView) -> None:
    made = list(cues([segment], names_in_text=False))
    assert _letters("".join("".join(cue.lines) for cue in made)) == _letters(one_line(segment.text))
    for cue in made:
        assert 1 <= len(cue.lines) <= LINES
        assert max(map(columns, cue.lines)) <= LINE_COLUMNS
        assert segment.start_ms <= cue.start_ms < cue.end_ms <= max(segment.end_ms, cue.start_ms + 1)
    assert all(left.end_ms <= right.start_ms + 1 for left, right in pairwise(made))


def _letters(text: str) -> str:
    return "".join(text.split())


@given(st.lists(_segments(), max_size=4))
def test_srt_has_no_more_cues_and_tags_than_we_wrote(segments: list[SegmentView]) -> None:
    text = FORMATS["srt"].render(transcript(segments))
    expected = len(list(cues(segments, names_in_text=True)))
    times = re.findall(r"^\d+:\d\d:\d\d,\d{3} --> \d+:\d\d:\d\d,\d{3}$", text, re.MULTILINE)
    assert text.count("-->") == len(times) == expected
    assert not set("<{") & set(text)
    assert len([block for block in text.split("\n\n") if block]) == expected


@given(st.lists(_segments(), max_size=4))
def test_vtt_has_no_more_cues_and_tags_than_we_wrote(segments: list[SegmentView]) -> None:
    text = FORMATS["vtt"].render(transcript(segments))
    expected = list(cues(segments, names_in_text=False))
    assert text.count("-->") == len(expected)
    tags = re.findall(r"<[^>]*>?", text)
    assert len(tags) == 2 * sum(bool(cue.speaker) for cue in expected)
    assert all(tag == "</v>" or tag.startswith("<v ") for tag in tags)
    assert len([block for block in text.split("\n\n") if block.strip()]) == len(expected) + 1


@pytest.mark.parametrize("name", ["srt", "vtt", "txt"])
@given(segments=st.lists(_segments(), max_size=3))
def test_no_character_steers_a_terminal_or_turns_a_line(name: str, segments: list[SegmentView]) -> None:
    text = FORMATS[name].render(transcript(segments))
    bad = {c for c in text if c != "\n" and unicodedata.category(c) == "Cc"}
    assert not bad
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200e\u200f]", text)


@given(st.lists(_segments(), max_size=3))
def test_json_gives_the_text_back(segments: list[SegmentView]) -> None:
    document = msgspec.json.decode(FORMATS["json"].render(transcript(segments)))
    assert [each["text"] for each in document["segments"]] == [segment.text for segment in segments]


def test_long_speech_is_cut_at_seven_seconds() -> None:
    made = list(cues(SHOWN["conversation"].segments, names_in_text=False))
    assert all(cue.end_ms - cue.start_ms <= CUE_MS for cue in made)


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for each in FORMATS.values():
        for case, view in SHOWN.items():
            (GOLDEN / f"{case}.{each.extension}").write_text(each.render(view), encoding="utf-8")
