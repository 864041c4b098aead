"""Sound to measure with: noise of any length, different for every number, so that nothing is recognised as seen before.

In: a number and a length. Out: bytes of a FLAC file. Pure.
"""

import io

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
