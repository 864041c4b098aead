"""The whole corpus, and how each of its files has to end.

In: the targets that some files name. Out: files by name, and the ends that are allowed.
"""

from collections.abc import Mapping

from streams.chunker.decode import REFUSALS
from tests.hostile.corpus.bombs import bombs
from tests.hostile.corpus.lies import lies, truncated
from tests.hostile.corpus.references import references
from tests.hostile.corpus.sounds import sounds
from tests.hostile.corpus.targets import Targets

DECODED = "decoded"
CODES = frozenset({*REFUSALS, "too_long"})
MAX_AUDIO_S = 12 * 3_600

# Files that hold a sound of their own, in ms: it comes out, and nothing else. All others are refused.
_OWN_SOUND_MS: Mapping[str, int] = {
    "dref-url.mov": 535,
    "dref-file.mov": 535,
    "dref-alias.mov": 535,
    "linked-picture.mp3": 300,
    "linked-picture.flac": 300,
    "cue-list.wav": 300,
    "cover-of-4000-pixels.mp3": 500,
    "cover-of-12000-pixels.mp3": 500,
    "tag-of-30-mb.mp3": 500,
    "sounds-500.mkv": 100,
    "chapters-10000.mkv": 1_000,
    "claims-4-gb.wav": 300,
    "claims-nothing.wav": 300,
    "claims-a-day.mp4": 1_045,
    "claims-a-day-in-its-table.mp4": 24,
    "claims-an-age.webm": 1_000,
    "claims-less-than-nothing.webm": 1_000,
    "claims-not-a-number.webm": 1_000,
    "channels-255.wav": 300,
    "flac-called-mp3.mp3": 2_000,
    "mp4-called-wav.wav": 2_044,
    "html-and-mp3.html": 2_038,
    "script-and-mp3.js": 2_000,
    "zip-and-mp3.zip": 2_000,
    "samples-1.wav": 1,
    "not-numbers.wav": 1_000,
    "infinite.wav": 1_000,
    "huge.wav": 1_000,
    "tiny.wav": 1_000,
    "rate-384000.wav": 300,
    "rate-1000.wav": 2_000,
    "attachment.mkv": 1_000,
    "jumping.mp3": 13_200,
}
_CODES: Mapping[str, str] = {
    "nothing": "empty_file",
    "no-sound.mp4": "no_audio_track",
    "encrypted.mp4": "protected",
    "rate-8.wav": "unsupported_audio",
    "channels-0.wav": "unsupported_audio",
    "channels-32767.wav": "unsupported_audio",
    "tags-by-the-thousand.mp3": "too_complex",
    "claims-a-day.mp3": "too_long",
    "claims-a-day.flac": "too_long",
    "claims-an-age.flac": "too_long",
    "claims-a-day.webm": "too_long",
}
# Of a file cut in half, what is there may come out.
_HALVES = "half."


def corpus(targets: Targets) -> dict[str, bytes]:
    """Every file, the same each time apart from the targets."""
    return {**references(targets), **bombs(), **lies(), **truncated(), **sounds()}


def allowed(name: str, code: str, decoded_ms: int) -> bool:
    """Whether a file may end like this."""
    if name.startswith(_HALVES):
        return code == "damaged" or (code == DECODED and decoded_ms < 1_100)
    if name in _OWN_SOUND_MS:
        return code == DECODED and abs(decoded_ms - _OWN_SOUND_MS[name]) < 60
    return code == _CODES[name] if name in _CODES else code in ("not_audio", "damaged", "unsupported_audio")
