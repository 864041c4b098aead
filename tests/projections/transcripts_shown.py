"""Transcripts that exports are tested with."""

from collections.abc import Mapping, Sequence

from projections.transcripts.views import SegmentView, SpeakerView, TranscriptView
from schemas.values import Gap, Word
from tests.projections.facts import job_id, spoken

ADA = SpeakerView(speaker_id="spk1", label="Speaker 1", name="Ada", speech_ms=9_000)
SECOND = SpeakerView(speaker_id="spk2", label="Speaker 2", name=None, speech_ms=4_500)
EVIL = SpeakerView(speaker_id="spk3", label="Speaker 3", name="<b>Eve\n--> 00:00 & \u202eco</v>", speech_ms=1_000)


def said(text: str, start_ms: int, end_ms: int, speaker: SpeakerView | None, number: int = 1) -> SegmentView:
    """A segment whose words are spread evenly."""
    words = spoken(text, start_ms, end_ms, speaker.speaker_id if speaker else None)
    return shown(text, (start_ms, end_ms), speaker, words, number)


def shown(
    text: str, times_ms: tuple[int, int], speaker: SpeakerView | None, words: Sequence[Word], number: int = 1
) -> SegmentView:
    """A segment with any words."""
    return SegmentView(
        segment_id=f"s5-{number}",
        revision=5,
        start_ms=times_ms[0],
        end_ms=times_ms[1],
        text=text,
        speaker_id=speaker.speaker_id if speaker else None,
        speaker=speaker.display if speaker else None,
        language="en",
        confidence=0.9,
        flags=(),
        words=tuple(words),
    )


def transcript(segments: Sequence[SegmentView], gaps: Sequence[Gap] = ()) -> TranscriptView:
    """A whole transcript."""
    return TranscriptView(
        job_id=job_id(7),
        language="en",
        duration_ms=3_700_000,
        version=6,
        speakers=(ADA, SECOND),
        segments=tuple(segments),
        gaps=tuple(gaps),
    )


_SPEECH = (
    "Well, I have been thinking about what you said yesterday, and it seems to me that we ought to begin with the "
    "oldest recordings, because nobody has listened to them for thirty years. After that we can see what is left. "
    "Do you agree?"
)

SHOWN: Mapping[str, TranscriptView] = {
    "conversation": transcript(
        [
            said("Good morning.", 1_000, 1_800, ADA, 1),
            said("Hello? Who is there?", 2_500, 4_000, SECOND, 2),
            said(_SPEECH, 5_200, 24_700, ADA, 3),
            said("Yes.", 25_000, 25_400, SECOND, 4),
            said("Somebody coughs.", 60_000, 61_000, None, 5),
            said("An hour later.", 3_661_001, 3_662_999, ADA, 6),
        ],
        [Gap(index=1, start_ms=30_000, end_ms=60_000, code="engine_failed")],
    ),
    "hostile": transcript(
        [
            said("1\n00:00:00,000 --> 99:00:00,000\n<script>alert(1)</script>", 0, 3_000, EVIL, 1),
            said("{\\an8}Up & away \u202egnp.exe \x00\x1b[31mred\n\n\nNOTE nothing", 3_000, 6_000, EVIL, 2),
            said("   \n\t ", 6_000, 7_000, ADA, 3),
            said("a" * 100, 7_000, 8_000, ADA, 4),
        ]
    ),
    "scripts": transcript(
        [
            shown(
                "東京都に行きました。とても楽しかったです。また来年も家族みんなで行きたいと思います。",
                (0, 9_000),
                ADA,
                (),
            ),
            said("Grüße aus München – schön, daß Sie da sind!", 10_000, 13_000, SECOND, 2),
            said("שלום עולם", 13_000, 14_000, SECOND, 3),
        ]
    ),
    "empty": transcript([]),
}
