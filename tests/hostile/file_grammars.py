"""What subtitle files are, written down anew from their descriptions: parsers that share nothing with the writers.

In: the text of a file. Out: its cues, or ValueError where the text is no such file.
"""

import re
from dataclasses import dataclass
from html import unescape

_SRT_TIME = re.compile(r"(\d\d):(\d\d):(\d\d),(\d\d\d) --> (\d\d):(\d\d):(\d\d),(\d\d\d)")
_VTT_TIME = re.compile(r"(\d\d+):(\d\d):(\d\d)\.(\d\d\d) --> (\d\d+):(\d\d):(\d\d)\.(\d\d\d)")
_VTT_SPAN = re.compile(r"<v ([^<>\n]+)>(.*)</v>", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A cue as a player shows it."""

    start_ms: int
    end_ms: int
    speaker: str | None
    text: str


def _times(found: re.Match[str] | None) -> tuple[int, int]:
    if found is None:
        raise ValueError("no times")
    h, m, s, ms, h2, m2, s2, ms2 = map(int, found.groups())
    return ((h * 60 + m) * 60 + s) * 1000 + ms, ((h2 * 60 + m2) * 60 + s2) * 1000 + ms2


def _blocks(text: str) -> list[list[str]]:
    """Runs of lines between empty ones; only CR and LF end a line here."""
    lines = re.split(r"\r\n|\r|\n", text)
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line:
            blocks[-1].append(line)
        elif blocks[-1]:
            blocks.append([])
    return [block for block in blocks if block]


def read_srt(text: str) -> list[Shown]:
    """A SubRip file: number, times, lines."""
    shown = []
    for number, block in enumerate(_blocks(text), start=1):
        if block[0] != str(number) or len(block) < 3:
            raise ValueError(f"block {number} begins with {block[:1]}")
        start_ms, end_ms = _times(_SRT_TIME.fullmatch(block[1]))
        said = "\n".join(block[2:])
        if "<" in said or ">" in said or "{" in said:
            raise ValueError("something that players take for a tag")
        shown.append(Shown(start_ms=start_ms, end_ms=end_ms, speaker=None, text=said))
    return shown


def read_vtt(text: str) -> list[Shown]:
    """A WebVTT file: a head, then times and a cue that is one voice at most."""
    head, *blocks = _blocks(text)
    if head != ["WEBVTT"]:
        raise ValueError("no WebVTT")
    return [_vtt_cue(block) for block in blocks]


def _vtt_cue(block: list[str]) -> Shown:
    start_ms, end_ms = _times(_VTT_TIME.fullmatch(block[0]))
    said = "\n".join(block[1:])
    if "-->" in said or not said:
        raise ValueError("an arrow inside a cue, or nothing")
    voice = _VTT_SPAN.fullmatch(said)
    inner = voice[2] if voice else said
    if "<" in inner or ">" in inner or re.search(r"&(?!amp;|lt;|gt;)", inner):
        raise ValueError("something that players take for a tag")
    speaker = unescape(voice[1]) if voice else None
    return Shown(start_ms=start_ms, end_ms=end_ms, speaker=speaker, text=unescape(inner))
