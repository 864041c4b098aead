"""The recogniser: WhisperX's way with its parts taken singly, so that a batch may hold chunks of any jobs.

In: chunks. Out: passages with timed words, of each chunk's core.
Here the models are found and loaded; what is done with them is in `transcription.py`. WhisperX's own `transcribe` is
not called: it takes one file, one language and one prompt at a time, and its import alone costs 20 s.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.settings import Speech
from streams.speech.engines import libraries, model_files, retry, whisper_files
from streams.speech.engines.protocol import (
    ChunkAudio,
    ChunkError,
    EngineUnavailable,
    ModelInfo,
    Transcription,
)
from streams.speech.engines.windows import SPEECH

if TYPE_CHECKING:  # importing these imports torch and CTranslate2
    from streams.speech.engines.recognition import Whisper
    from streams.speech.engines.transcription import Transcriber
    from streams.speech.engines.wav2vec2 import MountedAligners


class WhisperXEngine:
    """Whisper with WhisperX's voice activity, windows and word times."""

    def __init__(self, settings: Speech) -> None:
        self._settings = settings
        self._transcriber: Transcriber | None = None

    def load(self) -> ModelInfo:
        """Loads the models; raises EngineUnavailable when there is no such model, device or arithmetic."""
        libraries.prepare()
        settings = self._settings
        compute_type = whisper_files.compute_type(settings)
        folder = whisper_files.folder(settings)
        vad_file = model_files.packaged_file("whisperx", "assets/pytorch_model.bin")
        whisper = _whisper(folder, settings, compute_type)
        aligners = _mounted_aligners(settings)
        self._transcriber = _transcriber(settings, whisper, vad_file, aligners)
        return ModelInfo(
            engine="whisperx",
            engine_version=model_files.versions("whisperx", "faster-whisper", "ctranslate2", "torch"),
            model=whisper_files.name(settings, folder),
            model_sha256=model_files.sha256_of(folder / "model.bin"),
            device=settings.device,
            compute_type=whisper.compute_type,
            aligner=_aligner(aligners),
            options={
                "beam_size": str(retry.FIRST.beam_size),
                "vad": f"pyannote, onset {SPEECH.onset}, offset {SPEECH.offset}, padding {SPEECH.pad_ms} ms",
                "vad_sha256": model_files.sha256_of(vad_file),
            },
        )

    def run(self, batch: Sequence[ChunkAudio]) -> list[Transcription | ChunkError]:
        """One outcome per chunk, in order; `load` comes first."""
        if self._transcriber is None:
            raise EngineUnavailable("The recogniser is not loaded.")
        return self._transcriber.run(batch)


def _transcriber(
    settings: Speech, whisper: "Whisper", vad_file: Path, aligners: "MountedAligners | None"
) -> "Transcriber":
    import torch

    from streams.speech.engines.pyannet import load_network
    from streams.speech.engines.transcription import Transcriber
    from streams.speech.engines.voice_activity import VoiceActivity

    if settings.threads:
        torch.set_num_threads(settings.threads)
    return Transcriber(
        whisper=whisper,
        voice_activity=VoiceActivity(load_network(vad_file, settings.device), settings.device),
        aligners=aligners,
        batch_size=settings.batch_size,
    )


def _whisper(folder: Path, settings: Speech, compute_type: str) -> "Whisper":
    from streams.speech.engines.recognition import load_whisper

    try:
        return load_whisper(folder, settings.device, compute_type, settings.threads)
    except (RuntimeError, ValueError) as error:
        raise EngineUnavailable(f"The model in {folder} cannot be loaded: {error}") from error


def _mounted_aligners(settings: Speech) -> "MountedAligners | None":
    if not settings.align_model_dir:
        return None
    from streams.speech.engines.wav2vec2 import MountedAligners

    return MountedAligners(Path(settings.align_model_dir), settings.device)


def _aligner(aligners: "MountedAligners | None") -> str:
    if aligners is None or not aligners.languages:
        return "whisper-xattn"
    return f"wav2vec2 ({', '.join(sorted(aligners.languages))}), else whisper-xattn"
