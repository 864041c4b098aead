"""Sounds at the edge of what a sound is.

In: nothing. Out: bytes.
"""

import io
from collections.abc import Mapping

import av
import numpy as np
from av.audio.stream import AudioStream

from bench.recordings import wav_head
from tests.streams.chunker.recordings import RECIPES, Recipe, media_file, tone


def _floats(value: float) -> bytes:
    recipe = Recipe(container="wav", codec="pcm_f32le", rate_hz=48_000, layout="mono")
    data = bytearray(media_file(tone(1_000), recipe))
    data[-48_000 * 4 :] = np.full(48_000, value, "<f4").tobytes()
    return bytes(data)


def _with_subtitles() -> bytes:
    """A film with sound, and text that tries to be more than text."""
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as container:
        stream = container.add_stream("libopus", rate=48_000, layout="mono")
        assert isinstance(stream, AudioStream)
        container.add_attachment("../../evil.ttf", "font/ttf", b"\0" * 1_000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 48_000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 48_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def _jumping_shapes() -> bytes:
    """An MP3 whose rate and channels change with every piece."""
    shapes = ((44_100, "stereo"), (8_000, "mono"), (48_000, "stereo"), (16_000, "mono"))
    pieces = (Recipe(container="mp3", codec="libmp3lame", rate_hz=rate, layout=layout) for rate, layout in shapes)
    return b"".join(media_file(tone(300), piece) for piece in pieces) * 8


def sounds() -> Mapping[str, bytes]:
    """Every strange sound."""
    return {
        "nothing": b"",
        "samples-0.wav": wav_head(0),
        "samples-1.wav": wav_head(2) + b"\x01\x02",
        "half-a-sample.wav": wav_head(1) + b"\x01",
        "not-numbers.wav": _floats(float("nan")),
        "infinite.wav": _floats(float("inf")),
        "huge.wav": _floats(3e38),
        "tiny.wav": _floats(1e-42),
        "rate-384000.wav": media_file(tone(300), RECIPES["wav-384-khz"]),
        "rate-1000.wav": wav_head(4_000, rate_hz=1_000) + tone(125).tobytes(),
        "attachment.mkv": _with_subtitles(),
        "jumping.mp3": _jumping_shapes(),
        "noise.mp3": np.random.default_rng(5).bytes(200_000),
        "sync-words.mp3": b"\xff\xfb\x90\x00" * 50_000,
        "zeros.aac": b"\xff\xf1\x50\x80\x01\x1f\xfc" * 20_000,
        "zeros": bytes(500_000),
    }
