"""Sound and media files made on the spot, by the encoders that PyAV carries."""

import io
from dataclasses import dataclass

import av
import numpy as np
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from bench.recordings import wav_head
from streams.chunker.cut import SAMPLE_RATE_HZ, Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to write a media file."""

    container: str
    codec: str
    rate_hz: int = 44_100
    layout: str = "stereo"
    picture: bool = False


RECIPES = {
    "wav": Recipe(container="wav", codec="pcm_s16le", rate_hz=16_000, layout="mono"),
    "wav-24-bit": Recipe(container="wav", codec="pcm_s24le", rate_hz=48_000),
    "wav-8-bit": Recipe(container="wav", codec="pcm_u8", rate_hz=8_000, layout="mono"),
    "wav-float": Recipe(container="wav", codec="pcm_f32le", rate_hz=48_000),
    "wav-384-khz": Recipe(container="wav", codec="pcm_s16le", rate_hz=384_000, layout="mono"),
    "wav-5.1": Recipe(container="wav", codec="pcm_s16le", rate_hz=48_000, layout="5.1"),
    "mp3": Recipe(container="mp3", codec="libmp3lame"),
    "m4a": Recipe(container="ipod", codec="aac"),
    "aac": Recipe(container="adts", codec="aac"),
    "flac": Recipe(container="flac", codec="flac"),
    "ogg-opus": Recipe(container="ogg", codec="libopus", rate_hz=48_000, layout="mono"),
    "webm": Recipe(container="webm", codec="libopus", rate_hz=48_000),
    "wma": Recipe(container="asf", codec="wmav2"),
    "aiff": Recipe(container="aiff", codec="pcm_s16be"),
    "mp4-video": Recipe(container="mp4", codec="aac", picture=True),
    "mkv-video": Recipe(container="matroska", codec="aac", picture=True),
}


def tone(duration_ms: int, dbfs: float = -20.0, hz: float = 440.0) -> Samples:
    """A sine of a given RMS level."""
    t = np.arange(duration_ms * SAMPLE_RATE_HZ // 1000) / SAMPLE_RATE_HZ
    return whole(np.sin(2 * np.pi * hz * t) * np.sqrt(2) * 10 ** (dbfs / 20))


def noise(duration_ms: int, dbfs: float, seed: int = 1) -> Samples:
    """White noise of a given RMS level."""
    count = duration_ms * SAMPLE_RATE_HZ // 1000
    return whole(np.random.default_rng(seed).standard_normal(count) * 10 ** (dbfs / 20))


def silence(duration_ms: int) -> Samples:
    """Zeros."""
    return np.zeros(duration_ms * SAMPLE_RATE_HZ // 1000, np.int16)


def whole(values: NDArray[np.float64]) -> Samples:
    """16-bit samples of values of which 1 is full scale."""
    samples: Samples = np.clip(np.rint(values * 32_768), -32_768, 32_767).astype(np.int16)
    return samples


def media_file(samples: Samples, recipe: Recipe) -> bytes:
    """A media file that holds the samples."""
    out = io.BytesIO()
    with av.open(out, "w", format=recipe.container) as container:
        picture = container.add_stream("mpeg4", rate=10) if recipe.picture else None
        stream = container.add_stream(recipe.codec, rate=recipe.rate_hz, layout=recipe.layout)
        assert isinstance(stream, AudioStream)
        stream.bit_rate = 128_000
        if picture is not None:
            picture.width, picture.height, picture.pix_fmt = 32, 32, "yuv420p"
            for _ in range(10):
                container.mux(picture.encode(av.VideoFrame(32, 32, "yuv420p")))
            container.mux(picture.encode(None))
        resampler = av.AudioResampler(
            format=stream.format, layout=recipe.layout, rate=recipe.rate_hz, frame_size=stream.frame_size or None
        )
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        for ready in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(ready))
        container.mux(stream.encode(None))
    return out.getvalue()


def long_recording(minutes: int, claimed_bytes: int = 0) -> bytes:
    """The same minute of noise again and again, as a WAV file that claims to hold so much."""
    return wav_head(claimed_bytes) + np.tile(noise(60_000, -25.0), minutes).tobytes()


def silent_film() -> bytes:
    """A video without an audio track."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        picture = container.add_stream("mpeg4", rate=10)
        picture.width, picture.height, picture.pix_fmt = 32, 32, "yuv420p"
        for _ in range(10):
            container.mux(picture.encode(av.VideoFrame(32, 32, "yuv420p")))
        container.mux(picture.encode(None))
    return out.getvalue()
