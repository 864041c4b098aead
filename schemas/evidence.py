"""Speaker evidence of one chunk: who might speak when, before anyone is told apart for the whole recording.

In: a diarizer's local activity and embeddings. Out: bytes for the object store and back (NumPy's `.npz`, no pickles).
Knows no model and no clustering. Shapes follow pyannote's segmentation: windows of some seconds, in each up to
three local speakers, whose numbering means nothing outside the window.
"""

import io
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMAT = 1


class UnreadableEvidence(ValueError):
    """The bytes are not evidence of a format this version reads."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpeakerEvidence:
    """Evidence of one chunk. `n` windows, `f` frames a window, `s` local speakers, `d` values an embedding.

    `activity` bool (n, f, s); `embeddings` float32 (n, s, d), NaN where there was too little clean speech;
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
    """About 0.5 kB per second of audio: activity as bits, embeddings as half floats."""
    out = io.BytesIO()
    meta = {
        "format": FORMAT,
        "window_ms": evidence.window_ms,
        "shape": list(evidence.activity.shape),
        "embedding_model": evidence.embedding_model,
        "segmentation_model": evidence.segmentation_model,
    }
    np.savez_compressed(
        out,
        meta=np.frombuffer(json.dumps(meta).encode(), np.uint8),
        window_start_ms=evidence.window_start_ms,
        activity=np.packbits(evidence.activity),
        embeddings=evidence.embeddings.astype(np.float16),
        clean_s=evidence.clean_s.astype(np.float32),
    )
    return out.getvalue()


def unpack(data: bytes) -> SpeakerEvidence:
    """The evidence in `data`; raises UnreadableEvidence."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            meta: dict[str, Any] = json.loads(arrays["meta"].tobytes())
            if meta["format"] != FORMAT:
                raise UnreadableEvidence(f"format {meta['format']}")
            shape = tuple(meta["shape"])
            bits = np.unpackbits(arrays["activity"], count=int(np.prod(shape)))
            return SpeakerEvidence(
                window_start_ms=arrays["window_start_ms"],
                window_ms=meta["window_ms"],
                activity=bits.reshape(shape).astype(np.bool_),
                embeddings=arrays["embeddings"].astype(np.float32),
                clean_s=arrays["clean_s"],
                embedding_model=meta["embedding_model"],
                segmentation_model=meta["segmentation_model"],
            )
    except UnreadableEvidence:
        raise
    except Exception as error:  # NumPy and zipfile raise many kinds for broken bytes
        raise UnreadableEvidence(str(error)) from error
