"""Text made harmless for files that players, browsers and terminals read.

In: text and names that anyone may have written. Out: one line without control or direction characters, its width, and
where it may be broken.
Knows no format: each format escapes its own syntax afterwards.
"""

import re
import unicodedata

_MIN_WIDE = 0x1100
# Characters that turn the direction of what follows: a line could read other than it is.
_DIRECTION = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_BREAKS = re.compile(r"[\s\u0085\u2028\u2029]+")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x9f\ufeff\ufff9-\ufffb\ue000\ue001]")
# Scripts without spaces may be broken between any two characters, but not before a closing mark.
_UNSPACED = "\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef"
_CLOSING = "。、，．！？：；」』）］】"
_WORD = re.compile(rf"(?:[{_UNSPACED}]|[^\s{_UNSPACED}]+)[{_CLOSING}]*\s*")


def one_line(text: str) -> str:
    """The text in one line: breaks and runs of space become one space, control and direction characters go."""
    spaced = _BREAKS.sub(" ", text)
    return _BREAKS.sub(" ", _CONTROL.sub("", _DIRECTION.sub("", spaced))).strip()


def columns(text: str) -> int:
    """How wide the text is on a screen: Chinese, Japanese and Korean characters take two columns."""
    return sum(2 if ord(c) >= _MIN_WIDE and unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def words(text: str) -> list[str]:
    """The text in the smallest parts between which a line may be broken, each with the space after it."""
    return _WORD.findall(text)
