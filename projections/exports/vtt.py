"""WebVTT: captions for browsers.

In: a transcript. Out: cues with `hh:mm:ss.mmm` times and a voice tag for the speaker; text is escaped.
"""

from html import escape

from projections.exports.captions import Cue, cues
from projections.exports.clock import precise
from projections.transcripts.views import TranscriptView


def render(transcript: TranscriptView) -> str:
    """The file."""
    return "\n".join(("WEBVTT\n", *map(_block, cues(transcript.segments, names_in_text=False))))


def _block(cue: Cue) -> str:
    text = escape("\n".join(cue.lines), quote=False)
    said = f"<v {_name(cue.speaker)}>{text}</v>" if cue.speaker else text
    return f"{precise(cue.start_ms, '.')} --> {precise(cue.end_ms, '.')}\n{said}\n"


def _name(speaker: str) -> str:
    """A name inside a tag; one that ends in two hyphens would make an arrow of the tag's end, which ends the cue."""
    name = escape(speaker, quote=False)
    return f"{name[:-1]}&#45;" if name.endswith("--") else name
