"""Exports: a transcript as a file. One module to a format, and the table of formats.

In: a transcript. Out: text, its media type and file extension. Pure: knows no database and no HTTP.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from projections.exports import json, srt, txt, vtt
from projections.exports.json import segment_json, speaker_json
from projections.transcripts.views import TranscriptView

__all__ = ["FORMATS", "Format", "segment_json", "speaker_json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """How a transcript becomes a file."""

    name: str
    extension: str
    media_type: str
    render: Callable[[TranscriptView], str]


_ALL = (
    Format(name="json", extension="json", media_type="application/json", render=json.render),
    Format(name="srt", extension="srt", media_type="application/x-subrip; charset=utf-8", render=srt.render),
    Format(name="vtt", extension="vtt", media_type="text/vtt; charset=utf-8", render=vtt.render),
    Format(name="txt", extension="txt", media_type="text/plain; charset=utf-8", render=txt.render),
)
FORMATS: Mapping[str, Format] = {each.name: each for each in _ALL}
