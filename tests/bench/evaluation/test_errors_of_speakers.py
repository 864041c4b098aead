"""Diarization and speaker-attributed errors on cases that can be worked out by hand."""

import pytest
from pyannote.core import Annotation, Segment

from bench.evaluation.errors_of_speakers import said_by, turn_errors
from bench.evaluation.hypothesis import FoundSegment, FoundTurn
from bench.evaluation.manifest import SpokenWords


def reference(*turns: tuple[float, float, str]) -> Annotation:
    found = Annotation()
    for start, end, speaker in turns:
        found[Segment(start, end)] = speaker
    return found


def turn(start: float, end: float, speaker: str) -> FoundTurn:
    return FoundTurn(start_s=start, end_s=end, speaker=speaker)


def test_speakers_are_matched_before_errors_are_counted() -> None:
    truth = reference((0, 4, "a"), (4, 10, "b"))
    errors = turn_errors(truth, [turn(0, 5, "x"), turn(5, 9, "y")], 10.0, 0.0)
    assert (errors.speech_s, errors.confused_s, errors.missed_s, errors.false_alarm_s) == pytest.approx((10, 1, 1, 0))


def test_a_collar_forgives_inexact_boundaries() -> None:
    truth = reference((0, 4, "a"), (4, 10, "b"))
    found = [turn(0, 4.2, "x"), turn(4.2, 10, "y")]
    assert turn_errors(truth, found, 10.0, 0.0).errors_s == pytest.approx(0.2)
    assert turn_errors(truth, found, 10.0, 0.25).errors_s == pytest.approx(0)


def said(start: float, speaker: str, text: str) -> SpokenWords:
    return SpokenWords(start_s=start, end_s=start + 1, speaker=speaker, text=text)


def segment(start: float, speaker: str | None, text: str) -> FoundSegment:
    return FoundSegment(start_s=start, speaker=speaker, text=text)


TRUTH = [said(0, "a", "red green"), said(2, "b", "blue"), said(3, "a", "brown")]


def test_the_right_words_of_the_right_speakers_are_no_edit() -> None:
    found = [segment(0, "x", "Red green"), segment(2, "y", "blue"), segment(3, "x", "brown")]
    assert said_by(TRUTH, found, "en").edits == 0
    assert said_by(TRUTH, found, "en").words == 4


@pytest.mark.parametrize(
    ("found", "edits"),
    [
        ([segment(0, "x", "red green blue brown")], 2),  # b's word inserted into a's, and missing from b's
        ([segment(0, None, "red green blue brown")], 2),
        ([], 4),
        ([segment(0, "x", "red green"), segment(2, "y", "blue"), segment(3, "z", "brown")], 2),
    ],
)
def test_words_of_the_wrong_speaker_are_edits(found: list[FoundSegment], edits: int) -> None:
    assert said_by(TRUTH, found, "en").edits == edits
