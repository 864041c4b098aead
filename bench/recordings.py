"""Sound to measure with: noise of any length, different for every number, so that nothing is recognised as seen before.

In: a number and a length. Out: bytes of a FLAC file, or the head of a WAV file. Pure.
"""

import io
import struct

import numpy as np
import soundfile

SAMPLE_RATE_HZ = 16_000
AMPLITUDE = 3_000
FIELD = 2**32


def noise(number: int, duration_s: float) -> bytes:
    """A FLAC file, 16 kHz mono."""
    samples = np.random.default_rng(number).normal(size=int(duration_s * SAMPLE_RATE_HZ)) * AMPLITUDE
    out = io.BytesIO()
    soundfile.write(out, samples.astype(np.int16), SAMPLE_RATE_HZ, format="FLAC")
    return out.getvalue()


def wav_head(data_bytes: int, rate_hz: int = SAMPLE_RATE_HZ, channels: int = 1) -> bytes:
    """The head of a WAV file of 16-bit sound of which so many bytes follow; of a lie a field holds what fits."""
    bytes_a_second = rate_hz * channels * 2 % FIELD
    sound = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate_hz, bytes_a_second, channels * 2, 16)
    riff = struct.pack("<4sI4s", b"RIFF", (36 + data_bytes) % FIELD, b"WAVE")
    return riff + sound + struct.pack("<4sI", b"data", data_bytes % FIELD)
