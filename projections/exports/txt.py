"""Plain text to read: a paragraph for each turn of a speaker.

In: a transcript. Out: `[00:01:02] Name: what they said`; a span without a result is marked.
"""

from itertools import groupby

from projections.exports.clock import plain
from projections.exports.neutral import one_line
from projections.transcripts.views import TranscriptView
from schemas.values import Gap


def render(transcript: TranscriptView) -> str:
    """The file."""
    paragraphs = [*_turns(transcript), *map(_gap, transcript.gaps)]
    return "\n\n".join(text for _, text in sorted(paragraphs)) + "\n" if paragraphs else ""


def _turns(transcript: TranscriptView) -> list[tuple[int, str]]:
    """Each turn with its start; a gap ends a turn."""
    spoken = [segment for segment in transcript.segments if segment.text.strip()]
    turns = groupby(spoken, key=lambda each: (each.speaker, _gaps_before(transcript, each.start_ms)))
    made = []
    for (speaker, _), run in turns:
        segments = list(run)
        start_ms = segments[0].start_ms
        name = f"{one_line(speaker)}: " if speaker else ""
        text = " ".join(one_line(segment.text) for segment in segments)
        made.append((start_ms, f"[{plain(start_ms)}] {name}{text}"))
    return made


def _gaps_before(transcript: TranscriptView, time_ms: int) -> int:
    return sum(gap.start_ms <= time_ms for gap in transcript.gaps)


def _gap(gap: Gap) -> tuple[int, str]:
    return gap.start_ms, f"[{plain(gap.start_ms)}] (nothing transcribed until {plain(gap.end_ms)})"
