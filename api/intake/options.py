"""Options of a transcription, from form fields or query parameters.

In: names and values as a client wrote them. Out: `TranscriptionOptions`, or Invalid with a pointer for each mistake.
Nothing unknown is accepted: a mistyped option must not be ignored. Pure.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from api.refusals import FieldError, Invalid
from schemas.values import Quality, TranscriptionOptions

MAX_SPEAKERS = 32
MAX_TERMS = 100
MAX_TERM_CHARS = 100
MAX_PROMPT_CHARS = 1_000
OPTION_NAMES = (
    "language",
    "languages",
    "task",
    "quality",
    "diarize",
    "num_speakers",
    "min_speakers",
    "max_speakers",
    "vocabulary",
    "prompt",
)
# What a client may ask for → whether it is a translation.
TASKS = {"transcribe": False, "translate": True}

# Languages that Whisper knows, by ISO 639-1 where there is such a code.
_CODES = (
    "af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he hi hr ht hu hy id"
    " is it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nl nn no oc pa pl ps pt ro ru sa sd"
    " si sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk ur uz vi yi yo yue zh"
)
LANGUAGES = frozenset(_CODES.split())
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})

Fields = Sequence[tuple[str, str]]
T = TypeVar("T")


@dataclass(slots=True)
class _Reader:
    """Values by name, and the mistakes found so far."""

    place: str
    fields: Fields
    mistakes: list[FieldError] = field(default_factory=list)

    def wrong(self, name: str, message: str) -> None:
        self.mistakes.append(FieldError(place=self.place, pointer=f"/{name}", message=message))

    def all(self, name: str) -> list[str]:
        return [value.strip() for given, value in self.fields if given == name]

    def one(self, name: str, read: Callable[[str], T | None], expected: str) -> T | None:
        """The value of a field that may be given once; an empty one counts as not given."""
        values = [value for value in self.all(name) if value]
        if len(values) > 1:
            self.wrong(name, "May be given once.")
        if not values:
            return None
        value = read(values[0])
        if value is None:
            self.wrong(name, f"Must be {expected}.")
        return value


def _flag(text: str) -> bool | None:
    return True if text.lower() in _TRUE else False if text.lower() in _FALSE else None


def _speakers(text: str) -> int | None:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0
    return number if 1 <= number <= MAX_SPEAKERS else None


def _language(text: str) -> str | None:
    return text.lower() if text.lower() in LANGUAGES else None


def _languages(reader: _Reader) -> tuple[str, ...]:
    """Those that may be spoken; the one language of a recording is not among several."""
    codes = [code.strip().lower() for value in reader.all("languages") for code in value.split(",")]
    kept = tuple(dict.fromkeys(code for code in codes if code))
    if not LANGUAGES.issuperset(kept):
        reader.wrong("languages", "Must be language codes that the model knows, for instance en,de.")
    if kept and any(reader.all("language")):
        reader.wrong("languages", "Give language, or languages, not both.")
    return kept


def _quality(text: str) -> Quality | None:
    return Quality(text.lower()) if text.lower() in set(Quality) else None


def _prompt(text: str) -> str | None:
    """Text on one or several lines; control characters belong to no text."""
    plain = " ".join(text.split())
    return plain if len(plain) <= MAX_PROMPT_CHARS and plain.isprintable() else None


def _vocabulary(reader: _Reader) -> tuple[str, ...]:
    terms = [term.strip() for value in reader.all("vocabulary") for term in value.split(",")]
    kept = tuple(dict.fromkeys(term for term in terms if term))
    if len(kept) > MAX_TERMS:
        reader.wrong("vocabulary", f"May hold {MAX_TERMS} terms.")
    if any(len(term) > MAX_TERM_CHARS or not term.isprintable() for term in kept):
        reader.wrong("vocabulary", f"A term has at most {MAX_TERM_CHARS} printable characters.")
    return kept


def _check_speakers(reader: _Reader, number: int | None, least: int | None, most: int | None) -> None:
    if number is not None and (least is not None or most is not None):
        reader.wrong("num_speakers", "Give num_speakers, or min_speakers and max_speakers, not both.")
    if least is not None and most is not None and least > most:
        reader.wrong("min_speakers", "Must not be greater than max_speakers.")


def read_options(fields: Fields, place: str, other_names: Sequence[str] = ()) -> TranscriptionOptions:
    """The options in `fields`; raises Invalid. Fields of `other_names` mean something else."""
    reader = _Reader(place=place, fields=fields)
    for name in dict.fromkeys(name for name, _ in fields):
        if name not in OPTION_NAMES and name not in other_names:
            reader.wrong(name[:100], "There is no such option.")
    bound = f"a whole number from 1 to {MAX_SPEAKERS}"
    diarize = reader.one("diarize", _flag, "true or false")
    options = TranscriptionOptions(
        language=reader.one("language", _language, "a language code that the model knows, for instance en"),
        diarize=True if diarize is None else diarize,
        num_speakers=reader.one("num_speakers", _speakers, bound),
        min_speakers=reader.one("min_speakers", _speakers, bound),
        max_speakers=reader.one("max_speakers", _speakers, bound),
        vocabulary=_vocabulary(reader),
        languages=_languages(reader),
        translate=bool(reader.one("task", lambda text: TASKS.get(text.lower()), " or ".join(TASKS))),
        prompt=reader.one("prompt", _prompt, f"text of at most {MAX_PROMPT_CHARS} characters"),
        quality=reader.one("quality", _quality, ", ".join(Quality)) or Quality.BALANCED,
    )
    _check_speakers(reader, options.num_speakers, options.min_speakers, options.max_speakers)
    if reader.mistakes:
        raise Invalid(reader.mistakes)
    return options
