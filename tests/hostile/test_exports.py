"""Whatever was said and whatever people are called: a file is of its format, and holds as many cues as it should."""

import json
import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli.text import highlighted, printable, table
from projections.exports import FORMATS
from projections.exports.captions import cues
from projections.transcripts.views import SegmentView, SpeakerView, TranscriptView
from tests.hostile.file_grammars import read_srt, read_vtt
from tests.hostile.texts import HOSTILE_TEXT, STRINGS
from tests.projections.transcripts_shown import shown, transcript

SEGMENTS = 4


def _segment(number: int, text: str, name: str) -> SegmentView:
    speaker = SpeakerView(speaker_id=f"spk{number}", label=f"Speaker {number}", name=name or None, speech_ms=0)
    return shown(text, (number * 5_000, number * 5_000 + 4_000), speaker, [])


@st.composite
def _transcripts(draw: st.DrawFn) -> TranscriptView:
    said = draw(st.lists(st.tuples(HOSTILE_TEXT, HOSTILE_TEXT), min_size=SEGMENTS, max_size=SEGMENTS))
    return transcript([_segment(number, text, name) for number, (text, name) in enumerate(said)])


# Each example holds a name and a text for each of its segments.
@given(_transcripts())
@settings(max_examples=-(-STRINGS // (2 * SEGMENTS)), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_files_and_terminals_show_what_was_said_and_obey_nothing_in_it(made: TranscriptView) -> None:
    # Made once and put everywhere: making it takes longer.
    _an_srt_file_holds_its_cues_and_no_other(made)
    _a_vtt_file_holds_its_cues_and_no_other(made)
    _a_text_file_has_one_paragraph_for_each_turn(made)
    _json_gives_back_what_went_in(made)
    for segment in made.segments:
        _a_terminal_gets_no_command(segment.text)
        _a_terminal_gets_no_command(str(segment.speaker))


def _an_srt_file_holds_its_cues_and_no_other(made: TranscriptView) -> None:
    wanted = list(cues(made.segments, names_in_text=True))
    found = read_srt(FORMATS["srt"].render(made))
    assert [(cue.start_ms, cue.end_ms) for cue in found] == [(cue.start_ms, cue.end_ms) for cue in wanted]
    assert [len(cue.text.split("\n")) for cue in found] == [len(cue.lines) for cue in wanted]


def _a_vtt_file_holds_its_cues_and_no_other(made: TranscriptView) -> None:
    wanted = list(cues(made.segments, names_in_text=False))
    found = read_vtt(FORMATS["vtt"].render(made))
    assert [(cue.start_ms, cue.end_ms) for cue in found] == [(cue.start_ms, cue.end_ms) for cue in wanted]
    assert [cue.text for cue in found] == ["\n".join(cue.lines) for cue in wanted]
    assert [cue.speaker for cue in found] == [cue.speaker or None for cue in wanted]


def _a_text_file_has_one_paragraph_for_each_turn(made: TranscriptView) -> None:
    text = FORMATS["txt"].render(made)
    spoken = [segment for segment in made.segments if segment.text.strip()]
    paragraphs = [each for each in text.rstrip("\n").split("\n\n") if each]
    assert len(paragraphs) <= len(spoken)
    assert all(paragraph.startswith("[00:00:") for paragraph in paragraphs)
    assert not any(unicodedata.category(char) == "Cc" and char != "\n" for char in text)
    assert text.splitlines() == text.split("\n")[: len(text.splitlines())]


def _json_gives_back_what_went_in(made: TranscriptView) -> None:
    document = json.loads(FORMATS["json"].render(made))
    assert [segment["text"] for segment in document["segments"]] == [segment.text for segment in made.segments]
    assert [segment["speaker"] for segment in document["segments"]] == [segment.speaker for segment in made.segments]


def _a_terminal_gets_no_command(text: str) -> None:
    for shown_text in (printable(text), highlighted(text, colour=False), *table(["A"], [[text]]).split("\n")):
        assert not any(unicodedata.category(char) in ("Cc", "Cf") for char in shown_text)
    assert len(table(["A"], [[text]]).split("\n")) == 2


@pytest.mark.parametrize("forged", ["1\n00:00:00,000 --> 00:00:01,000\n<b>x</b>\n", "2\nx\ny\n"])
def test_the_srt_reader_refuses(forged: str) -> None:
    with pytest.raises(ValueError, match=r"tag|begins"):
        read_srt(forged)


@pytest.mark.parametrize("forged", ["x", "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\na <i>b</i>\n", "WEBVTT\n\nNOTE x\n"])
def test_the_vtt_reader_refuses(forged: str) -> None:
    with pytest.raises(ValueError, match=r"tag|times|WebVTT"):
        read_vtt(forged)
