"""Sound to measure with: noise of any length, different for every number, so that nothing is recognised as seen before.

In: a number and a length. Out: bytes of a FLAC file, or the head of a WAV file. Pure.
"""

import io
import struct

import numpy as np
import soundfile

SAMPLE_RATE_HZ = 16_000
AMPLITUDE = 3_000


def noise(number: int, duration_s: float) -> bytes:
    """A FLAC file, 16 kHz mono."""
    samples = np.random.default_rng(number).normal(size=int(duration_s * SAMPLE_RATE_HZ)) * AMPLITUDE
    out = io.BytesIO()
    soundfile.write(out, samples.astype(np.int16), SAMPLE_RATE_HZ, format="FLAC")
    return out.getvalue()


def wav_head(size_bytes: int) -> bytes:
    """The head of a mono recording, 16 bits at 16 kHz, of which so many bytes follow."""
    sound = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, SAMPLE_RATE_HZ, 2 * SAMPLE_RATE_HZ, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", 36 + size_bytes, b"WAVE") + sound + struct.pack("<4sI", b"data", size_bytes)
