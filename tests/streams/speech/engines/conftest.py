"""The real engines, loaded once, and the real recordings they are tried on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from local.layout import CHECKOUT, Layout
from local.models import ensure_models
from runtime.settings import Speech
from schemas.values import TranscriptionOptions
from streams.speech.engines.protocol import SAMPLE_RATE_HZ, ChunkAudio
from streams.speech.engines.pyannote import PyannoteEngine
from streams.speech.engines.whisperx import WhisperXEngine

RECORDINGS = Path(__file__).parents[3] / "data" / "audio"

Recording = Callable[..., ChunkAudio]


@pytest.fixture(scope="session")
def speech_settings() -> Speech:
    models = Layout(home=CHECKOUT / ".palimpsest").models
    ensure_models(models)
    return Speech(
        asr_engine="whisperx",
        diarization_engine="pyannote",
        model="bundled",
        model_dir=str(models),
        align_model_dir="",
        device="cpu",
        compute_type="default",
        batch_size=8,
        threads=2,
        max_tries=3,
        batch_timeout_s=600,
        batch_floor_s=4,
    )


@pytest.fixture(scope="session")
def recogniser(speech_settings: Speech) -> WhisperXEngine:
    engine = WhisperXEngine(speech_settings)
    engine.load()
    return engine


@pytest.fixture(scope="session")
def diarizer(speech_settings: Speech) -> PyannoteEngine:
    engine = PyannoteEngine(speech_settings)
    engine.load()
    return engine


@pytest.fixture(scope="session")
def recording() -> Recording:
    """A recording of tests/data/audio as one chunk from the beginning, with the options given."""

    def chunk(name: str, options: TranscriptionOptions | None = None) -> ChunkAudio:
        samples, rate = soundfile.read(RECORDINGS / f"{name}.flac", dtype="float32")
        assert rate == SAMPLE_RATE_HZ
        return chunk_of(np.asarray(samples, np.float32), options)

    return chunk


def chunk_of(samples: np.ndarray[tuple[int], np.dtype[np.float32]], options: TranscriptionOptions | None) -> ChunkAudio:
    return ChunkAudio(
        samples=samples,
        object_start_ms=0,
        start_ms=0,
        end_ms=len(samples) * 1000 // SAMPLE_RATE_HZ,
        options=options or TranscriptionOptions(),
    )
