"""SubRip: what every player reads.

In: a transcript. Out: numbered cues with `hh:mm:ss,mmm` times. The format has no escapes, so what players take for
tags is written with other characters.
"""

from projections.exports.captions import cues
from projections.exports.clock import precise
from projections.transcripts.views import TranscriptView

# `-->` parts times, <…> is a tag, {\…} a command of SubStation that many players obey.
_HARMLESS = str.maketrans({"<": "‹", ">": "›", "{": "(", "}": ")"})


def render(transcript: TranscriptView) -> str:
    """The file."""
    blocks = (
        f"{number}\n{precise(cue.start_ms, ',')} --> {precise(cue.end_ms, ',')}\n"
        + "\n".join(line.translate(_HARMLESS) for line in cue.lines)
        + "\n"
        for number, cue in enumerate(cues(transcript.segments, names_in_text=True), start=1)
    )
    return "\n".join(blocks)
