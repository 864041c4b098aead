"""pyannote's own diarization pipeline, as it comes, with weights from local files.

In: samples of a whole recording. Out: turns as the table that WhisperX's `assign_word_speakers` takes.
Segmentation in windows of 10 s every second, voices embedded apart, centroid clustering: the published parameters of
pyannote/speaker-diarization-3.1, with CAM++ in place of its embedding, whose weights are on a hub only.
Imported in the measured process only.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import torch
from numpy.typing import NDArray
from pyannote.audio import Model
from pyannote.audio.pipelines import speaker_diarization

from runtime.settings import Speech
from streams.speech.engines import model_files, pyannote
from streams.speech.engines.campplus import DIMENSION, load_embedding
from streams.speech.engines.protocol import SAMPLE_RATE_HZ

BATCH_SIZE = 32
PARAMETERS = {
    "segmentation": {"min_duration_off": 0.0},
    "clustering": {"method": "centroid", "min_cluster_size": 12, "threshold": 0.7045654963945799},
}
VOICE_MIN_SAMPLES = SAMPLE_RATE_HZ * 3 // 10


class Embedding:
    """CAM++ as pyannote asks for an embedding: one vector a waveform, of what its mask leaves."""

    sample_rate = SAMPLE_RATE_HZ
    metric = "cosine"
    dimension = DIMENSION
    min_num_samples = VOICE_MIN_SAMPLES

    def __init__(self, speech: Speech) -> None:
        mounted = Path(speech.model_dir) / pyannote.EMBEDDING
        weights = model_files.mounted_or_packaged(mounted, pyannote.PACKAGE, pyannote.PACKAGED_EMBEDDING)
        source = model_files.packaged_file(pyannote.PACKAGE, pyannote.EMBEDDING_SOURCE)
        self._model = load_embedding(source, weights, speech.device)

    def to(self, device: Any) -> "Embedding":
        """Where it is told to be; it was loaded there."""
        return self

    def __call__(self, waveforms: torch.Tensor, masks: torch.Tensor | None = None) -> NDArray[np.float32]:
        """Vectors (waveform, value); not numbers where too little is left."""
        return np.stack([self._one(w, None if masks is None else masks[i]) for i, w in enumerate(waveforms)])

    def _one(self, waveform: torch.Tensor, mask: torch.Tensor | None) -> NDArray[np.float32]:
        sound = waveform[0].numpy()
        if mask is not None:
            whole = torch.nn.functional.interpolate(mask[None, None].float(), size=len(sound), mode="nearest")
            sound = sound[whole[0, 0].numpy() > 0.5]
        if len(sound) < VOICE_MIN_SAMPLES:
            return np.full(DIMENSION, np.nan, np.float32)
        [vector] = self._model.embed([self._model.features(sound)], 1)
        return vector


def diarization_pipeline(speech: Speech) -> Callable[[NDArray[np.float32]], Any]:
    """The pipeline, loaded."""
    mounted = Path(speech.model_dir) / pyannote.SEGMENTATION
    weights = model_files.mounted_or_packaged(mounted, pyannote.PACKAGE, pyannote.PACKAGED_SEGMENTATION)
    embedding = Embedding(speech)
    # The pipeline builds its embedding and its PLDA from names on the hub; there is no other way in.
    module: Any = speaker_diarization
    module.PretrainedSpeakerEmbedding = lambda *_, **__: embedding
    module.get_plda = lambda *_, **__: None
    pipeline: Any = module.SpeakerDiarization(
        segmentation=Model.from_pretrained(str(weights)),
        embedding="CAM++",
        plda=None,
        clustering="AgglomerativeClustering",
        embedding_exclude_overlap=True,
        embedding_batch_size=BATCH_SIZE,
        segmentation_batch_size=BATCH_SIZE,
    )
    pipeline.instantiate(PARAMETERS)
    pipeline.to(torch.device(speech.device))

    def run(samples: NDArray[np.float32]) -> Any:
        found = pipeline({"waveform": torch.from_numpy(samples)[None], "sample_rate": SAMPLE_RATE_HZ, "uri": "clip"})
        tracks = found.speaker_diarization.itertracks(yield_label=True)
        rows = [(segment.start, segment.end, speaker) for segment, _, speaker in tracks]
        return pandas.DataFrame(rows, columns=["start", "end", "speaker"])

    return run
