"""Words in a line: how text falls into words in a language, how words join to text, and times for words without any.

In: text and words. Out: words and text. Knows no model and no segment.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from schemas.values import Timing, Word

# Languages written without spaces between words.
UNSPACED = frozenset({"zh", "yue", "ja", "th", "lo", "my", "km", "bo"})
SENTENCE_ENDS = ".!?…。！？｡؟۔।॥"
_CLOSING = "\"'”’»)]}」』）】"
_ATOM = re.compile(r"[A-Za-z0-9À-ɏ]+(?:['’.,-][A-Za-z0-9À-ɏ]+)*|\s+|.", re.DOTALL)
_NOT_WORD = re.compile(r"[\W_]+")


def storable(text: str) -> str:
    """Text without the one character that no database takes; byte tokens of a model can make it."""
    return text.replace("\0", "")


def normal(text: str) -> str:
    """What of a word is compared: letters and digits, without case."""
    return _NOT_WORD.sub("", text).casefold() or text.strip()


def split(text: str, language: str | None, known: Iterable[str] = ()) -> list[str]:
    """Words of a text, punctuation attached. Unspaced languages fall into the known words where they recur, else
    into single characters and runs of Latin letters."""
    if language not in UNSPACED:
        return text.split()
    found: list[str] = []
    ranked = sorted({word.strip() for word in known if word.strip()}, key=len, reverse=True)
    rest = text.strip()
    while rest:
        word = next((item for item in ranked if rest.startswith(item)), None) or _atom(rest)
        rest = rest[len(word) :]
        if not word.strip():
            continue
        if found and not normal_has_letters(word):
            found[-1] += word
        else:
            found.append(word)
    return found


def _atom(text: str) -> str:
    match = _ATOM.match(text)
    return match.group() if match else text[0]


def normal_has_letters(text: str) -> bool:
    """Whether a token is more than punctuation."""
    return bool(_NOT_WORD.sub("", text))


def join(words: Sequence[str], language: str | None) -> str:
    """Text of words; unspaced languages take a space only between two Latin words."""
    parts = [word.strip() for word in words if word.strip()]
    if language not in UNSPACED:
        return " ".join(parts)
    text = ""
    for part in parts:
        text += " " + part if text and _latin(text[-1]) and _latin(part[0]) else part
    return text


def _latin(char: str) -> bool:
    return char.isascii() and char.isalnum()


def ends_sentence(text: str) -> bool:
    """Whether a word closes a sentence, quotes and brackets aside."""
    return text.rstrip().rstrip(_CLOSING)[-1:] in SENTENCE_ENDS and bool(text.strip())


def fill_times(words: Sequence[Word], start_ms: int, end_ms: int) -> tuple[Word, ...]:
    """Words without times get the room between their timed neighbours, shared by length; `timing` says so.

    Times never run backwards: a word starts no earlier than the one before, and lies in `start_ms`..`end_ms`.
    """
    filled: list[Word] = []
    i = 0
    while i < len(words):
        j = i
        while j < len(words) and words[j].start_ms is None:
            j += 1
        left = filled[-1].end_ms if filled and filled[-1].end_ms is not None else start_ms
        if j > i:
            right = words[j].start_ms if j < len(words) else end_ms
            filled += _spread(words[i:j], left, max(left, right if right is not None else left))
            i = j
            continue
        filled.append(_in_order(words[i], filled, start_ms))
        i += 1
    return tuple(filled)


def _spread(words: Sequence[Word], left: int, right: int) -> list[Word]:
    weights = [max(1, len(word.text)) for word in words]
    total = sum(weights)
    spread, done = [], 0
    for word, weight in zip(words, weights, strict=True):
        begin = left + (right - left) * done // total
        done += weight
        end = left + (right - left) * done // total
        spread.append(replace(word, start_ms=begin, end_ms=end, timing=Timing.INTERPOLATED))
    return spread


def _in_order(word: Word, before: Sequence[Word], floor_ms: int) -> Word:
    earliest = before[-1].start_ms if before and before[-1].start_ms is not None else floor_ms
    start = max(earliest, word.start_ms if word.start_ms is not None else earliest)
    end = max(start, word.end_ms if word.end_ms is not None else start)
    return word if (start, end) == (word.start_ms, word.end_ms) else replace(word, start_ms=start, end_ms=end)


def mean_confidence(words: Iterable[Word]) -> float | None:
    """Mean confidence of the words that have one."""
    known = [word.confidence for word in words if word.confidence is not None]
    return sum(known) / len(known) if known else None
