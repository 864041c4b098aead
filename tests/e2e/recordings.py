"""Recordings of the end-to-end tests: real clips, and other containers made of them.

The clips and their licences are named in `tests/data/README.md`.
"""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

CLIPS = Path(__file__).parents[1] / "data" / "audio"
SAMPLE_RATE_HZ = 16_000
VIDEO_SIZE = (64, 48)
Samples = NDArray[np.int16]


def clip(name: str) -> Samples:
    """Samples of a clip, 16 kHz mono."""
    samples, rate = soundfile.read(CLIPS / f"{name}.flac", dtype="int16")
    assert rate == SAMPLE_RATE_HZ
    mono: Samples = samples
    return mono


def silence(duration_s: float) -> Samples:
    """Digital silence."""
    return np.zeros(int(duration_s * SAMPLE_RATE_HZ), np.int16)


def flac(samples: Samples) -> bytes:
    """A FLAC file of the samples."""
    out = io.BytesIO()
    soundfile.write(out, samples, SAMPLE_RATE_HZ, format="FLAC")
    return out.getvalue()


def encoded(samples: Samples, container: str, codec: str, *, with_video: bool = False) -> bytes:
    """The samples in another container and codec, with a video track beside them if asked."""
    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        video = file.add_stream("mpeg4", rate=5) if with_video else None
        if video is not None:
            video.width, video.height, video.pix_fmt = *VIDEO_SIZE, "yuv420p"
        audio = file.add_stream(codec, rate=SAMPLE_RATE_HZ, layout="mono")
        assert isinstance(audio, av.AudioStream)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.time_base = SAMPLE_RATE_HZ, Fraction(1, SAMPLE_RATE_HZ)
        for packet in [*audio.encode(frame), *audio.encode(None)]:
            file.mux(packet)
        if video is not None:
            picture = av.VideoFrame.from_ndarray(np.zeros((*VIDEO_SIZE[::-1], 3), np.uint8), format="rgb24")
            for packet in [*video.encode(picture), *video.encode(None)]:
                file.mux(packet)
    return out.getvalue()
