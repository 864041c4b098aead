"""pyannote's segmentation network: waveforms in, scores per frame out.

In: a checkpoint file of pyannote. Out: a network that runs, and when its frames are.
The layers are pyannote.audio's PyanNet, written out because importing pyannote.audio costs 20 s and its loader
runs whatever a checkpoint's pickle says; here nothing but tensors and plain values is read.
`tests/streams/speech/engines/test_pyannet.py` compares the scores with the library's own.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.torch_version import TorchVersion

from streams.speech.engines.protocol import SAMPLE_RATE_HZ, EngineUnavailable

FRAME_STEP_SAMPLES = 270
FIRST_FRAME_CENTRE_SAMPLES = 495  # half the receptive field of one frame, 991 samples
LSTM_INPUT, LSTM_HIDDEN, LINEAR = 60, 128, 128
BAND_SAMPLES, BAND_MIN_HZ = 251, 50.0
BANDS = "sincnet.conv1d.0.filterbank."

_PLAIN_TYPES = {
    "builtins.dict": dict,
    "builtins.int": int,
    "builtins.list": list,
    "collections.defaultdict": defaultdict,
    "torch.torch_version.TorchVersion": TorchVersion,
}
_INERT_PACKAGES = ("pyannote.", "omegaconf.", "typing.")


class PyanNet(nn.Module):
    """Learnt band-pass filters, four bidirectional LSTM layers, two linear ones and a classifier without activation."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.sincnet = SincNet()
        self.lstm = nn.LSTM(LSTM_INPUT, LSTM_HIDDEN, num_layers=4, bidirectional=True, batch_first=True)
        self.linear = nn.ModuleList([nn.Linear(2 * LSTM_HIDDEN, LINEAR), nn.Linear(LINEAR, LINEAR)])
        self.classifier = nn.Linear(LINEAR, classes)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Scores (batch, frame, class) of waveforms (batch, sample)."""
        hidden, _ = self.lstm(self.sincnet(waveforms[:, None]).transpose(1, 2))
        for linear in self.linear:
            hidden = functional.leaky_relu(linear(hidden))
        scores: Tensor = self.classifier(hidden)
        return scores


class SincNet(nn.Module):
    """Raw sound to features, three convolutions deep; the first one's filters are learnt bands of frequency."""

    def __init__(self) -> None:
        super().__init__()
        self.wav_norm1d = nn.InstanceNorm1d(1, affine=True)
        self.conv1d = nn.ModuleList(
            [nn.Conv1d(1, 80, BAND_SAMPLES, stride=10, bias=False), nn.Conv1d(80, 60, 5), nn.Conv1d(60, 60, 5)]
        )
        self.pool1d = nn.ModuleList([nn.MaxPool1d(3) for _ in self.conv1d])
        self.norm1d = nn.ModuleList([nn.InstanceNorm1d(n, affine=True) for n in (80, 60, 60)])

    def forward(self, waveforms: Tensor) -> Tensor:
        """Features (batch, 60, frame) of waveforms (batch, 1, sample)."""
        features: Tensor = self.wav_norm1d(waveforms)
        for i, (convolve, pool, norm) in enumerate(zip(self.conv1d, self.pool1d, self.norm1d, strict=True)):
            features = convolve(features)
            if i == 0:  # the filters' phase says nothing
                features = features.abs()
            features = functional.leaky_relu(norm(pool(features)))
        return features


def load_network(path: Path, device: str) -> PyanNet:
    """The network in a pyannote checkpoint; raises EngineUnavailable when the file holds another one."""
    try:
        state = _with_plain_filters(_read_checkpoint(path)["state_dict"])
        network = PyanNet(classes=len(state["classifier.bias"]))
        network.load_state_dict(state)
    except EngineUnavailable:
        raise
    except Exception as error:  # torch and pickle raise many kinds for broken files
        raise EngineUnavailable(f"{path} holds no segmentation model of pyannote: {error}") from error
    return network.eval().to(device)


def frame_count(samples: int) -> int:
    """How many frames the network makes of so many samples."""
    for kernel, stride in ((251, 10), (3, 3), (5, 1), (3, 3), (5, 1), (3, 3)):
        samples = (samples - kernel) // stride + 1
    return samples


def band_filters(bands: Mapping[str, Tensor]) -> Tensor:
    """Filters (2 x band, 1, tap) that let one band of frequency through, even ones first, then odd ones.

    SincNet (arXiv 1808.00158) with the odd filters of arXiv 1910.10400; bands are given above a floor of 50 Hz.
    """
    low = BAND_MIN_HZ + bands["low_hz_"].abs()
    high = (low + BAND_MIN_HZ + bands["band_hz_"].abs()).clamp(BAND_MIN_HZ, SAMPLE_RATE_HZ / 2)
    time, taper = bands["n_"], bands["window_"]
    even = (torch.sin(high * time) - torch.sin(low * time)) / (time / 2) * taper
    odd = (torch.cos(low * time) - torch.cos(high * time)) / (time / 2) * taper
    width = 2 * (high - low)
    middle = torch.zeros_like(width)
    filters = torch.cat(
        [
            torch.cat([even, width, even.flip(1)], dim=1) / width,
            torch.cat([odd, middle, -odd.flip(1)], dim=1) / width,
        ]
    )
    return filters[:, None]


def _with_plain_filters(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state with the first convolution's filters in place of the bands they are made from."""
    bands = {name.removeprefix(BANDS): value for name, value in state.items() if name.startswith(BANDS)}
    plain = {name: value for name, value in state.items() if not name.startswith((BANDS, "loss"))}
    plain["sincnet.conv1d.0.weight"] = band_filters(bands)
    return plain


def _read_checkpoint(path: Path) -> dict[str, Any]:
    names = torch.serialization.get_unsafe_globals_in_checkpoint(str(path))
    allowed: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
        (_stand_in(path, name), name) for name in names
    ]
    with torch.serialization.safe_globals(allowed):
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return checkpoint


def _stand_in(path: Path, name: str) -> type:
    """A type to read an object of the checkpoint into: its description of its training is data to us, never code."""
    if name in _PLAIN_TYPES:
        return _PLAIN_TYPES[name]
    if not name.startswith(_INERT_PACKAGES):
        raise EngineUnavailable(f"{path} asks for {name}, which no model of pyannote needs.")
    return type("Inert", (_Inert,), {})


class _Inert:
    def __init__(self, *arguments: object) -> None:
        self.arguments = arguments

    def __setstate__(self, state: object) -> None:
        self.state = state
