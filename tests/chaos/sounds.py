"""Recordings that say who they are: noise that follows from the run's seed and the upload's number alone.

In: seed, number, length. Out: the bytes of a sound file. The stub engines' words follow from the samples, so that no
two uploads of a run have the same words, and a transcript can be traced to its sound.
"""

import io
import struct

import numpy as np
import soundfile

SAMPLE_RATE_HZ = 16_000
LOUDNESS = 3_000
# Long recordings are not compressed: they should be large on the wire.
FLAC_BELOW_S = 60.0
# More than the ordinary chunkers take.
HEAVY_BYTES = 50_100_000


def recording(seed: int, number: int, duration_s: float) -> bytes:
    """A sound file that no other upload of the run has."""
    random = np.random.default_rng([seed, 3, number])
    samples = (random.standard_normal(int(duration_s * SAMPLE_RATE_HZ), np.float32) * LOUDNESS).astype(np.int16)
    out = io.BytesIO()
    soundfile.write(out, samples, SAMPLE_RATE_HZ, format="FLAC" if duration_s < FLAC_BELOW_S else "WAV")
    return out.getvalue()


def heavy(sound: bytes) -> bytes:
    """The same sound as a large WAV file."""
    samples, rate_hz = soundfile.read(io.BytesIO(sound), dtype="int16")
    out = io.BytesIO()
    soundfile.write(out, samples, rate_hz, format="WAV", subtype="PCM_16")
    return padded(out.getvalue(), HEAVY_BYTES)


def padded(wav: bytes, padding_bytes: int) -> bytes:
    """The same WAV file, larger: a chunk that no decoder reads lies before everything else."""
    body = b"WAVE" + struct.pack("<4sI", b"JUNK", padding_bytes) + bytes(padding_bytes) + wav[12:]
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def rubbish(seed: int, number: int) -> bytes:
    """Something that is no sound, and that no other upload has."""
    random = np.random.default_rng([seed, 4, number])
    head = (b"RIFF", b"ID3\x04", b"OggS", b"<html>", b"")[number % 5]
    return head + random.bytes(int(random.integers(100, 20_000)))
