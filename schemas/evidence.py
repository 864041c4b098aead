"""Speaker evidence of one chunk: who might speak when, before anyone is told apart for the whole recording.

In: a diarizer's local activity and embeddings. Out: bytes for the object store and back: a magic, the length of a JSON
header (u32, little endian), the header, then the arrays' bytes one after another, little endian; activity, which is
mostly runs, as zlib-compressed bits.
Knows no model and no clustering. Shapes follow pyannote's segmentation: windows of some seconds, in each up to
three local speakers, whose numbering means nothing outside the window.
"""

import json
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMAT = 1
MAGIC = b"PALE"
_HEAD = struct.Struct("<4sI")
_FASTEST = 1  # zlib level


class UnreadableEvidence(ValueError):
    """The bytes are not evidence of a format this version reads."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpeakerEvidence:
    """Evidence of one chunk. `n` windows, `f` frames a window, `s` local speakers, `d` values an embedding.

    `activity` bool (n, f, s); `embeddings` float32 (n, s, d), NaN where there was too little of a voice;
    `clean_s` float32 (n, s), seconds the local speaker is heard alone; `window_start_ms` int64 (n), in the recording.
    """

    window_start_ms: NDArray[np.int64]
    window_ms: int
    activity: NDArray[np.bool_]
    embeddings: NDArray[np.float32]
    clean_s: NDArray[np.float32]
    embedding_model: str
    segmentation_model: str


def pack(evidence: SpeakerEvidence) -> bytes:
    """About 0.4 kB per second of audio: activity as bits, embeddings as half floats."""
    windows, frames, speakers = evidence.activity.shape
    activity = zlib.compress(np.packbits(evidence.activity).tobytes(), _FASTEST)
    header = {
        "format": FORMAT,
        "window_ms": evidence.window_ms,
        "windows": windows,
        "frames": frames,
        "speakers": speakers,
        "dimension": evidence.embeddings.shape[2],
        "activity_bytes": len(activity),
        "embedding_model": evidence.embedding_model,
        "segmentation_model": evidence.segmentation_model,
    }
    text = json.dumps(header).encode()
    starts = evidence.window_start_ms.astype("<i8").tobytes()
    clean = evidence.clean_s.astype("<f4").tobytes()
    embeddings = evidence.embeddings.astype("<f2").tobytes()
    return b"".join((_HEAD.pack(MAGIC, len(text)), text, starts, activity, clean, embeddings))


def unpack(data: bytes) -> SpeakerEvidence:
    """The evidence in `data`; raises UnreadableEvidence."""
    try:
        magic, length = _HEAD.unpack_from(data)
        if magic != MAGIC:
            raise UnreadableEvidence("not speaker evidence")
        header: dict[str, Any] = json.loads(data[_HEAD.size : _HEAD.size + length])
        if header["format"] != FORMAT:
            raise UnreadableEvidence(f"format {header['format']}")
        return _read(header, data[_HEAD.size + length :])
    except (struct.error, zlib.error, KeyError, TypeError, ValueError) as error:
        raise UnreadableEvidence(str(error)) from error


def _read(header: dict[str, Any], body: bytes) -> SpeakerEvidence:
    windows, frames, speakers, dimension = (header[name] for name in ("windows", "frames", "speakers", "dimension"))
    bits = windows * frames * speakers
    sizes = (8 * windows, header["activity_bytes"], 4 * windows * speakers, 2 * windows * speakers * dimension)
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    if ends[-1] != len(body):
        raise UnreadableEvidence(f"{len(body)} bytes where the header says {ends[-1]}")
    starts, activity, clean, embeddings = (body[end - size : end] for size, end in zip(sizes, ends, strict=True))
    unpacked = np.unpackbits(np.frombuffer(zlib.decompress(activity), np.uint8), count=bits)
    return SpeakerEvidence(
        window_start_ms=np.frombuffer(starts, "<i8").astype(np.int64),
        window_ms=header["window_ms"],
        activity=unpacked.reshape(windows, frames, speakers).astype(np.bool_),
        embeddings=np.frombuffer(embeddings, "<f2").reshape(windows, speakers, dimension).astype(np.float32),
        clean_s=np.frombuffer(clean, "<f4").reshape(windows, speakers).astype(np.float32),
        embedding_model=header["embedding_model"],
        segmentation_model=header["segmentation_model"],
    )
