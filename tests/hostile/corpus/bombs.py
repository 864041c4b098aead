"""Files that grow: little to store, much to decode, to hold or to look through.

In: nothing. Out: bytes.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from fractions import Fraction

import av
import numpy as np
from av.audio.stream import AudioStream

from streams.chunker.cut import SAMPLE_RATE_HZ
from tests.hostile.corpus.boxes import element, find_box, flac_head, flac_silence, full_box, id3, ogg_page, replaced
from tests.streams.chunker.recordings import RECIPES, Recipe, media_file, tone

HOUR_S = 3_600
_MS = Fraction(1, 1000)
DAY_S = 24 * HOUR_S
SAMPLE_TABLE = (b"moov", b"trak", b"mdia", b"minf", b"stbl")


def silent_flac(seconds: int, *, claimed_s: int) -> bytes:
    """Silence of a length in some kilobytes; 0 claims nothing."""
    head = flac_head(SAMPLE_RATE_HZ, claimed_s * SAMPLE_RATE_HZ)
    return head + b"".join(flac_silence(seconds, SAMPLE_RATE_HZ))


def silent_opus(seconds: int, *, stated: bool) -> bytes:
    """Silence of a length as Ogg, in packets of 120 ms; the position on the last page states it."""
    packet = b"\xfb\x06" + b"\xff\xfe" * 6
    head = b"OpusHead\x01\x01" + struct.pack("<HIhB", 0, 48_000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 1) + b"x" + struct.pack("<I", 0)
    pages = [ogg_page([head], 1, 0, 0, 2), ogg_page([tags], 1, 1, 0, 0)]
    for number in range(seconds * 1000 // 120 // 250):
        pages.append(ogg_page([packet] * 250, 1, number + 2, (number + 1) * 250 * 5_760 if stated else 0, 0))
    return b"".join(pages)


def picture(side: int) -> bytes:
    """A white PNG of that many pixels a side."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(1)
    rows = b"".join(packer.compress(b"\0" + b"\xff" * (side * 4)) for _ in range(side)) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _cover(side: int) -> bytes:
    return id3((b"APIC", b"\0image/png\0\x03\0" + picture(side))) + media_file(tone(500), RECIPES["mp3"])


def _table_of(samples: int, size: int) -> bytes:
    """An MP4 that says it has so many samples, all of one size, in one chunk."""
    data = media_file(tone(500), Recipe(container="mp4", codec="aac"))
    data = replaced(data, (*SAMPLE_TABLE, b"stsz"), full_box(b"stsz", struct.pack(">II", size, samples)))
    data = replaced(data, (*SAMPLE_TABLE, b"stts"), full_box(b"stts", struct.pack(">III", 1, samples, 1024)))
    return replaced(data, (*SAMPLE_TABLE, b"stsc"), full_box(b"stsc", struct.pack(">IIII", 1, 1, samples, 1)))


def _many_streams(number: int) -> bytes:
    """A Matroska file with so many audio tracks and a sound in none."""
    audio = element(b"\xe1", element(b"\xb5", struct.pack(">d", 16_000.0)) + element(b"\x9f", b"\x01"))
    tracks = b"".join(
        element(
            b"\xae",
            element(b"\xd7", struct.pack(">I", track))
            + element(b"\x73\xc5", struct.pack(">I", track))
            + element(b"\x83", b"\x02")
            + element(b"\x86", b"A_AAC" if track % 2 else b"A_OPUS")
            + audio,
        )
        for track in range(1, number + 1)
    )
    head = element(b"\x1a\x45\xdf\xa3", element(b"\x42\x82", b"matroska"))
    return head + element(b"\x18\x53\x80\x67", element(b"\x16\x54\xae\x6b", tracks))


def _many_sounds(number: int) -> bytes:
    """A Matroska file with so many audio tracks, each with a sound."""
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as container:
        streams = [container.add_stream("pcm_s16le", rate=8_000, layout="mono") for _ in range(number)]
        for stream in streams:
            assert isinstance(stream, AudioStream)
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
            frame.sample_rate = 8_000
            container.mux(stream.encode(frame))
    return out.getvalue()


def _chapters(number: int) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as container:
        stream = container.add_stream("libopus", rate=48_000, layout="mono")
        assert isinstance(stream, AudioStream)
        made: list[av.container.Chapter] = [
            {
                "id": at,
                "start": at,
                "end": at + 1,
                "time_base": Fraction(1, 1000),
                "metadata": {"title": f"chapter {at}"},
            }
            for at in range(number)
        ]
        container.set_chapters(made)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 48_000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 48_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def _nested_boxes(depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        data = struct.pack(">I", 8 + len(data)) + b"moov" + data
    return struct.pack(">I", 16) + b"ftypisom\0\0\0\0" + data


def _nested_elements(depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        data = element(b"\x18\x53\x80\x67", data)
    return element(b"\x1a\x45\xdf\xa3", element(b"\x42\x82", b"matroska")) + data


def _zip(megabytes: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("song.wav", bytes(megabytes * 1_000_000))
    return out.getvalue()


def _fragments(number: int) -> bytes:
    """A fragmented MP4 whose one fragment says it has so many samples."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4", options={"movflags": "frag_keyframe+empty_moov"}) as container:
        stream = container.add_stream("aac", rate=44_100, layout="mono")
        assert isinstance(stream, AudioStream)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44_100), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44_100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data = bytearray(out.getvalue())
    at = find_box(bytes(data), b"moof", b"traf", b"trun")[0]
    data[at + 12 : at + 16] = struct.pack(">I", number)
    return bytes(data)


def bombs() -> Mapping[str, bytes]:
    """Every file that grows, apart from those whose decoding takes minutes."""
    mp3 = media_file(tone(500), RECIPES["mp3"])
    return {
        "cover-of-4000-pixels.mp3": _cover(4_000),
        "cover-of-12000-pixels.mp3": _cover(12_000),
        "tag-of-30-mb.mp3": id3((b"TIT2", b"\0" + b"x" * 30_000_000)) + mp3,
        "tags-by-the-thousand.mp3": id3(*[(b"TXXX", b"\0k%d\0v" % at) for at in range(50_000)]) + mp3,
        "table-of-50-million.mp4": _table_of(50_000_000, 1),
        "table-of-4-billion.mp4": _table_of(0xFFFFFFFF, 0x10000),
        "table-of-5-million.mp4": _table_of(5_000_000, 1),
        "fragment-of-a-billion.mp4": _fragments(1_000_000_000),
        "sounds-500.mkv": _many_sounds(500),
        "streams-900.mkv": _many_streams(900),
        "streams-5000.mkv": _many_streams(5_000),
        "chapters-10000.mkv": _chapters(10_000),
        "boxes-in-boxes.mp4": _nested_boxes(5_000),
        "elements-in-elements.mkv": _nested_elements(5_000),
        "zip.wav": _zip(100),
        "zip-in-zip.mp3": _zip(1) * 50,
    }
