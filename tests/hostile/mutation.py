"""Files that were good once: seeds of every format, and mutations that can be made again from two numbers.

In: a seed of chance and the number of a mutation. Out: bytes, and how they came about. Pure, but for the encoders.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from random import Random

from tests.hostile.corpus.bombs import silent_opus
from tests.hostile.corpus.boxes import id3
from tests.streams.chunker.recordings import RECIPES, Recipe, media_file, noise, silent_film, tone

SEED_MS = 300
_MORE = {
    "mov": Recipe(container="mov", codec="aac"),
    "mov-pcm": Recipe(container="mov", codec="pcm_s16le"),
    "mp4-alac": Recipe(container="mp4", codec="alac"),
    "mkv-mp3": Recipe(container="matroska", codec="libmp3lame"),
    "mkv-pcm": Recipe(container="matroska", codec="pcm_s16le"),
    "mov-mulaw": Recipe(container="mov", codec="pcm_mulaw", rate_hz=8_000, layout="mono"),
    "wav-adpcm": Recipe(container="wav", codec="adpcm_ms"),
    "wav-mulaw": Recipe(container="wav", codec="pcm_mulaw"),
    "mp3-mono": Recipe(container="mp3", codec="libmp3lame", rate_hz=16_000, layout="mono"),
}
_STRIKING = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)

Data = bytearray


@cache
def seeds() -> Mapping[str, bytes]:
    """A short good file of every format that we read."""
    sound = tone(SEED_MS)
    made = {name: media_file(sound, recipe) for name, recipe in {**RECIPES, **_MORE}.items()}
    tagged = id3((b"TIT2", b"\0song"), (b"COMM", b"\0eng\0words")) + made["mp3"]
    noisy = media_file(noise(SEED_MS, -20.0), replace(RECIPES["flac"], layout="mono"))
    return {
        **made,
        "mp3-tagged": tagged,
        "flac-noise": noisy,
        "opus-long": silent_opus(60, stated=True),
        "film": silent_film(),
    }


def mutated(seed: int, number: int) -> tuple[str, bytes]:
    """Mutation `number` of a run: the name of its seed file, and the bytes."""
    random = Random(f"{seed}/{number}")
    name = random.choice(sorted(seeds()))
    data = Data(seeds()[name])
    for _ in range(random.choice((1, 1, 2, 3, 8))):
        random.choice(_MUTATIONS)(data, random)
    return name, bytes(data)


def _flip(data: Data, random: Random) -> None:
    for _ in range(random.choice((1, 4, 16, 64))):
        if data:
            data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _flip_near_the_head(data: Data, random: Random) -> None:
    for _ in range(random.choice((1, 4, 16))):
        if data:
            data[random.randrange(min(len(data), 512))] = random.choice((0, 0xFF, random.randrange(256)))


def _cut(data: Data, random: Random) -> None:
    at = random.randrange(len(data) + 1)
    if random.random() < 0.5:
        del data[at:]
    else:
        del data[at : at + random.randrange(1, 4_096)]


def _splice(data: Data, random: Random) -> None:
    other = seeds()[random.choice(sorted(seeds()))]
    begin = random.randrange(len(other))
    at = random.randrange(len(data) + 1)
    data[at : at + random.choice((0, 100, 10_000))] = other[begin : begin + random.choice((16, 256, 8_192))]


def _repeat(data: Data, random: Random) -> None:
    begin = random.randrange(len(data) + 1)
    piece = data[begin : begin + random.choice((4, 64, 1_024))]
    data[begin:begin] = piece * random.choice((1, 3, 50))


def _change_a_number(data: Data, random: Random) -> None:
    """Something that looks like a length, a count or an offset becomes another one."""
    order, width = random.choice("<>"), random.choice((2, 4, 4, 8))
    form = order + {2: "H", 4: "I", 8: "Q"}[width]
    places = [at for at in random.sample(range(max(1, len(data) - 8)), min(200, max(1, len(data) - 8)))]
    for at in places:
        if len(data) < at + width:
            continue
        (value,) = struct.unpack_from(form, data, at)
        if 0 < value < 4 * len(data):
            new = random.choice((*_STRIKING, value - 1, value + 1, value * 2, value // 2, len(data)))
            struct.pack_into(form, data, at, new & (1 << 8 * width) - 1)
            return


def _noise(data: Data, random: Random) -> None:
    at = random.randrange(len(data) + 1)
    data[at : at + 64] = random.randbytes(64)


_MUTATIONS: tuple[Callable[[Data, Random], None], ...] = (
    _flip,
    _flip_near_the_head,
    _cut,
    _splice,
    _repeat,
    _change_a_number,
    _change_a_number,
    _noise,
)
