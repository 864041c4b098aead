"""What the demonstration prints, and the recording it needs."""

from typing import Any

import pytest

from local.demo import Stopwatch, hit_text, moment, sample_recording, times_text, transcript_text, word_to_find
from local.errors import NotReady

JOB: dict[str, Any] = {
    "file_name": "sample.wav",
    "duration_seconds": 30.0,
    "language": "en",
    "warnings": [{"code": "no_speakers", "message": "The speakers could not be told apart."}],
}
SEGMENTS: list[dict[str, Any]] = [
    {"start": 6.69, "end": 7.12, "text": "Hello?", "speaker": "Speaker 1", "speaker_id": "spk1"},
    {"start": 68.0, "end": 70.5, "text": "I'm originally from Chicago.", "speaker": None, "speaker_id": None},
]


def test_the_recording_is_installed() -> None:
    assert sample_recording().read_bytes().startswith(b"RIFF")


def test_the_transcript_has_times_speakers_and_warnings() -> None:
    assert transcript_text(JOB, SEGMENTS).splitlines() == [
        "sample.wav: 30 s, language en, 1 speakers",
        "  0:06.7 – 0:07.1  Speaker 1   Hello?",
        "  1:08.0 – 1:10.5  –           I'm originally from Chicago.",
        "  warning: The speakers could not be told apart.",
    ]


def test_the_hit_shows_moment_speaker_and_the_found_word() -> None:
    hit = {"moment": 18.6, "speaker": "Speaker 1", "highlight": "I&#39;m <mark>originally</mark> from"}
    assert hit_text("originally", hit) == "Search for 'originally':\n  0:18.6  Speaker 1: I'm *originally* from"


def test_the_longest_word_is_looked_for() -> None:
    assert word_to_find(SEGMENTS) == "originally"
    with pytest.raises(NotReady, match="empty"):
        word_to_find([])


def test_stages_are_measured_in_order() -> None:
    watch = Stopwatch()
    for stage in ("start", "upload"):
        with watch.measure(stage):
            pass
    assert [line.split()[0] for line in times_text(watch.seconds).splitlines()] == ["Times:", "start", "upload"]


def test_moments_are_minutes_and_seconds() -> None:
    assert [moment(0), moment(59.94), moment(61.25)] == ["0:00.0", "0:59.9", "1:01.2"]
