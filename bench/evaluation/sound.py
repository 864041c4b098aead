"""A clip's sound as the chunker hears it.

In: a media file. Out: 16 kHz mono samples, whole or cut into chunks. Knows no engine.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streams.chunker.cut import Chunk, Cutter
from streams.chunker.decode import Media
from streams.chunker.loudness import Leveler

PCM_SCALE = np.float32(1 / 32_768)


def plain_samples(file: Path) -> NDArray[np.float32]:
    """The whole file, decoded and nothing else."""
    with file.open("rb") as source:
        return np.concatenate(list(Media(source).blocks())) * PCM_SCALE


def cut_chunks(file: Path) -> list[Chunk]:
    """The file as production prepares it: decoded and cut at silence."""
    leveler, cutter = Leveler(), Cutter()
    chunks: list[Chunk] = []
    with file.open("rb") as source:
        for block in Media(source).blocks():
            chunks.extend(cutter.feed(leveler.feed(block)))
    chunks.extend(cutter.feed(leveler.finish()))
    chunks.extend(cutter.finish())
    return chunks
