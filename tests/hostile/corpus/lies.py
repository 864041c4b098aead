"""Files whose headers do not tell the truth, and files of which a part is missing.

In: nothing. Out: bytes.
"""

import struct
from collections.abc import Mapping

from bench.recordings import wav_head
from tests.hostile.corpus.bombs import DAY_S, SAMPLE_TABLE, silent_flac
from tests.hostile.corpus.boxes import find_box, full_box, id3, replaced
from tests.streams.chunker.recordings import RECIPES, Recipe, media_file, silent_film, tone

_M4A = Recipe(container="mp4", codec="aac")


def _xing(frames: int) -> bytes:
    """An MP3 whose first frame says how many follow."""
    data = bytearray(media_file(tone(2_000), RECIPES["mp3"]))
    at = max(data.find(b"Xing"), data.find(b"Info"))
    data[at + 8 : at + 12] = struct.pack(">I", frames)
    return bytes(data)


def _movie_length(seconds: int) -> bytes:
    """An MP4 whose movie, track and media headers claim a length."""
    data = bytearray(media_file(tone(1_000), _M4A))
    movie = find_box(bytes(data), b"moov", b"mvhd")[0]
    scale = struct.unpack_from(">I", data, movie + 20)[0]
    struct.pack_into(">I", data, movie + 24, min(seconds * scale, 0xFFFFFFFF))
    media = find_box(bytes(data), b"moov", b"trak", b"mdia", b"mdhd")[0]
    scale = struct.unpack_from(">I", data, media + 20)[0]
    struct.pack_into(">I", data, media + 24, min(seconds * scale, 0xFFFFFFFF))
    return bytes(data)


def _slow_samples() -> bytes:
    """An MP4 whose sample table says that each of its samples takes an hour."""
    stts = full_box(b"stts", struct.pack(">III", 1, 43, 44_100 * 3_600))
    return replaced(media_file(tone(1_000), _M4A), (*SAMPLE_TABLE, b"stts"), stts)


def _durations(mkv_s: float) -> bytes:
    """A Matroska file whose Info claims a length."""
    data = bytearray(media_file(tone(1_000), RECIPES["webm"]))
    at = data.find(b"\x44\x89\x88")
    struct.pack_into(">d", data, at + 3, mkv_s * 1000)
    return bytes(data)


def _encrypted() -> bytes:
    data = media_file(tone(500), _M4A)
    return data.replace(b"mp4a", b"enca", 1)


def _whole(name: str) -> bytes:
    return media_file(tone(2_000), RECIPES[name])


def truncated() -> Mapping[str, bytes]:
    """Each format cut off in the middle, at its head and shortly before its end."""
    made = {}
    for name in ("wav", "mp3", "m4a", "flac", "ogg-opus", "webm", "wma", "aiff", "mkv-video", "mp4-video"):
        data = _whole(name)
        made[f"half.{name}"] = data[: len(data) // 2]
        made[f"head.{name}"] = data[:64]
    tail = _whole("m4a")
    made["index-cut-off.m4a"] = tail[: find_box(tail, b"moov")[0] + 100]
    made["index-missing.m4a"] = tail[: find_box(tail, b"moov")[0]]
    return made


def lies() -> Mapping[str, bytes]:
    """Every file that claims what is not so."""
    sound = tone(300).tobytes()
    return {
        "claims-4-gb.wav": wav_head(0xFFFFFF00) + sound,
        "claims-nothing.wav": wav_head(0) + sound,
        "claims-a-day.mp3": _xing(DAY_S * 44_100 // 1_152),
        "claims-a-day.flac": silent_flac(4, claimed_s=DAY_S),
        "claims-an-age.flac": silent_flac(4, claimed_s=2_000_000),
        "claims-a-day.mp4": _movie_length(DAY_S),
        "claims-a-day-in-its-table.mp4": _slow_samples(),
        "claims-a-day.webm": _durations(DAY_S),
        "claims-an-age.webm": _durations(1e300),
        "claims-less-than-nothing.webm": _durations(-5.0),
        "claims-not-a-number.webm": _durations(float("nan")),
        "rate-0.wav": wav_head(len(sound), rate_hz=0) + sound,
        "rate-8.wav": wav_head(len(sound), rate_hz=8) + sound,
        "rate-4-ghz.wav": wav_head(len(sound), rate_hz=0xFFFFFFFF) + sound,
        "channels-0.wav": wav_head(len(sound), channels=0) + sound,
        "channels-255.wav": wav_head(len(sound) * 255, channels=255) + sound * 255,
        "channels-32767.wav": wav_head(len(sound) * 100, channels=32_767) + sound * 100,
        "encrypted.mp4": _encrypted(),
        "no-sound.mp4": silent_film(),
        "flac-called-mp3.mp3": _whole("flac"),
        "mp4-called-wav.wav": _whole("mp4-video"),
        "html-and-mp3.html": b"<html><script>alert(1)</script></html>\n" + _whole("mp3"),
        "script-and-mp3.js": id3((b"COMM", b"\0eng\0*/alert(1)/*")) + _whole("mp3"),
        "zip-and-mp3.zip": _whole("mp3") + b"PK\x05\x06" + bytes(18),
        "program.wav": b"\x7fELF\x02\x01\x01" + bytes(5_000),
        "pdf-and-wav.pdf": b"%PDF-1.4\n" + _whole("wav"),
    }
