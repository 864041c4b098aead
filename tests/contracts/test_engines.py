"""What every speech engine owes the worker, whichever it is: one suite, the stub and the real engines.

The real ones run on a phone call of two speakers that the pyannote-audio package carries (MIT).
"""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from local.layout import CHECKOUT, Layout
from local.models import ensure_models
from runtime.settings import Speech
from schemas.evidence import pack, unpack
from schemas.values import Passage, Task, Timing, TranscriptionOptions, Word
from streams.speech.engines import ASR_ENGINES, DIARIZATION_ENGINES, asr_engine, diarization_engine, engine_name
from streams.speech.engines.protocol import (
    SAMPLE_RATE_HZ,
    AsrEngine,
    ChunkAudio,
    Diarization,
    DiarizationEngine,
    EngineUnavailable,
    ModelInfo,
    Transcription,
)

SHORT_S = 8
MARGIN_MS = 2_000
RECORDING_OFFSET_MS = 60_000


def speech_settings(asr: str, diarization: str, model_dir: str = "") -> Speech:
    return Speech(
        asr_engine=asr,
        diarization_engine=diarization,
        model="bundled",
        model_dir=model_dir,
        align_model_dir="",
        device="cpu",
        compute_type="default",
        batch_size=4,
        threads=2,
        max_tries=3,
        batch_timeout_s=600,
        batch_floor_s=4,
    )


@cache
def model_dir() -> str:
    folder = Layout(home=CHECKOUT / ".palimpsest").models
    ensure_models(folder)
    return str(folder)


@cache
def call_samples() -> NDArray[np.float32]:
    spec = find_spec("pyannote.audio")
    assert spec is not None and spec.submodule_search_locations is not None
    path = Path(next(iter(spec.submodule_search_locations))) / "sample" / "sample.wav"
    samples, rate = soundfile.read(path, dtype="float32", frames=SHORT_S * SAMPLE_RATE_HZ, start=6 * SAMPLE_RATE_HZ)
    assert rate == SAMPLE_RATE_HZ
    return np.asarray(samples, np.float32)


def chunk_of(samples: NDArray[np.float32], margin_ms: int = MARGIN_MS, **options: str | tuple[str, ...]) -> ChunkAudio:
    """A chunk from the middle of a longer recording, so that times in the object and in the recording differ."""
    length_ms = len(samples) * 1000 // SAMPLE_RATE_HZ
    return ChunkAudio(
        samples=samples,
        object_start_ms=RECORDING_OFFSET_MS,
        start_ms=RECORDING_OFFSET_MS + margin_ms,
        end_ms=RECORDING_OFFSET_MS + length_ms - margin_ms,
        options=replace(TranscriptionOptions(), **options),  # type: ignore[arg-type]
    )


def silence(seconds: float) -> NDArray[np.float32]:
    return np.zeros(int(seconds * SAMPLE_RATE_HZ), np.float32)


@pytest.fixture(scope="module", params=sorted(ASR_ENGINES))
def asr(request: pytest.FixtureRequest) -> Iterator[tuple[AsrEngine, ModelInfo]]:
    name = str(request.param)
    engine = asr_engine(speech_settings(name, "stub", "" if name == "stub" else model_dir()))
    yield engine, engine.load()


@pytest.fixture(scope="module", params=sorted(DIARIZATION_ENGINES))
def diarizer(request: pytest.FixtureRequest) -> Iterator[tuple[DiarizationEngine, ModelInfo]]:
    name = str(request.param)
    engine = diarization_engine(speech_settings("stub", name, "" if name == "stub" else model_dir()))
    yield engine, engine.load()


def transcribed(engine: AsrEngine, *chunks: ChunkAudio) -> list[Transcription]:
    outcomes = engine.run(chunks)
    assert len(outcomes) == len(chunks)
    found = [outcome for outcome in outcomes if isinstance(outcome, Transcription)]
    assert len(found) == len(chunks), outcomes
    return found


def diarized(engine: DiarizationEngine, *chunks: ChunkAudio) -> list[Diarization]:
    outcomes = engine.run(chunks)
    assert len(outcomes) == len(chunks)
    found = [outcome for outcome in outcomes if isinstance(outcome, Diarization)]
    assert len(found) == len(chunks), outcomes
    return found


def assert_model_is_named(info: ModelInfo, engine: str) -> None:
    assert info.engine == engine
    assert info.engine_version and info.model and info.compute_type
    assert info.device == "cpu"
    assert len(info.model_sha256) in (0, 64)
    assert engine == "stub" or info.model_sha256


def assert_word_is_well_timed(word: Word, passage: Passage) -> None:
    assert word.text.strip() == word.text != ""
    assert word.speaker_id is None
    assert word.confidence is None or 0 <= word.confidence <= 1
    if word.timing is Timing.NONE:
        assert word.start_ms is None and word.end_ms is None
        return
    assert word.start_ms is not None and word.end_ms is not None
    assert passage.start_ms <= word.start_ms <= word.end_ms <= passage.end_ms


def assert_transcription_is_well_formed(found: Transcription, chunk: ChunkAudio) -> None:
    assert found.language_probability is None or 0 <= found.language_probability <= 1
    for passage in found.passages:
        assert chunk.start_ms <= passage.start_ms <= passage.end_ms <= chunk.end_ms
        assert passage.text.strip() == passage.text != ""
        assert passage.language
        assert 0 <= passage.language_probability <= 1
        assert 0 <= passage.no_speech_probability <= 1
        assert passage.avg_logprob <= 0
        for word in passage.words:
            assert_word_is_well_timed(word, passage)
        starts = [word.start_ms for word in passage.words if word.start_ms is not None]
        assert starts == sorted(starts)
    assert all(before.start_ms <= after.start_ms for before, after in pairwise(found.passages))


def test_asr_names_its_model(asr: tuple[AsrEngine, ModelInfo], request: pytest.FixtureRequest) -> None:
    engine_id = request.node.callspec.params["asr"]
    assert_model_is_named(asr[1], engine_id)


def test_words_lie_inside_the_core(asr: tuple[AsrEngine, ModelInfo]) -> None:
    chunk = chunk_of(call_samples())
    [found] = transcribed(asr[0], chunk)
    assert_transcription_is_well_formed(found, chunk)
    assert found.passages and found.language
    assert sum(len(passage.words) for passage in found.passages) >= 3


def test_asr_answers_each_chunk_in_order(asr: tuple[AsrEngine, ModelInfo]) -> None:
    voice, quiet = chunk_of(call_samples()), chunk_of(silence(SHORT_S))
    short = chunk_of(call_samples()[: SAMPLE_RATE_HZ * 3], margin_ms=1_000)
    first, second, third = transcribed(asr[0], quiet, voice, short)
    assert not first.passages
    assert second.passages
    assert_transcription_is_well_formed(second, voice)
    assert_transcription_is_well_formed(third, short)


def test_digital_silence_has_no_words(asr: tuple[AsrEngine, ModelInfo]) -> None:
    [found] = transcribed(asr[0], chunk_of(silence(SHORT_S)))
    assert found.passages == ()
    assert found.language is None


@pytest.mark.parametrize("core_ms", [20, 300])
def test_a_very_short_core_is_answered(asr: tuple[AsrEngine, ModelInfo], core_ms: int) -> None:
    samples = call_samples()[: SAMPLE_RATE_HZ * core_ms // 1000]
    chunk = chunk_of(samples, margin_ms=0)
    [found] = transcribed(asr[0], chunk)
    assert_transcription_is_well_formed(found, chunk)


def test_the_language_asked_for_is_used(asr: tuple[AsrEngine, ModelInfo]) -> None:
    [found] = transcribed(asr[0], chunk_of(call_samples(), language="de"))
    assert found.language == "de"
    assert {passage.language for passage in found.passages} == {"de"}


def test_chunks_of_different_options_share_a_batch(asr: tuple[AsrEngine, ModelInfo]) -> None:
    plain = chunk_of(call_samples(), language="en")
    prompted = chunk_of(call_samples(), language="en", vocabulary=("Palimpsest", "Diane"))
    french = chunk_of(call_samples(), language="fr")
    for found, chunk in zip(transcribed(asr[0], plain, prompted, french), (plain, prompted, french), strict=True):
        assert found.language == chunk.options.language
        assert_transcription_is_well_formed(found, chunk)


def test_an_empty_batch_has_no_transcriptions(asr: tuple[AsrEngine, ModelInfo]) -> None:
    assert asr[0].run([]) == []


def assert_evidence_is_well_formed(found: Diarization, chunk: ChunkAudio) -> None:
    evidence = found.evidence
    windows, frames, speakers = evidence.activity.shape
    assert windows >= 1 and frames >= 1 and speakers >= 1
    assert evidence.activity.dtype == np.bool_
    assert evidence.window_start_ms.shape == (windows,) and evidence.window_start_ms.dtype == np.int64
    assert evidence.clean_s.shape == (windows, speakers)
    assert evidence.embeddings.shape[:2] == (windows, speakers) and evidence.embeddings.ndim == 3
    object_end_ms = chunk.object_start_ms + len(chunk.samples) * 1000 // SAMPLE_RATE_HZ
    assert evidence.window_start_ms[0] <= chunk.start_ms
    assert evidence.window_start_ms[-1] + evidence.window_ms >= chunk.end_ms
    assert (np.diff(evidence.window_start_ms) > 0).all()
    assert (evidence.window_start_ms >= chunk.object_start_ms).all()
    assert (evidence.window_start_ms < object_end_ms).all()
    # An embedding is there or not, as a whole; where it is, somebody was heard.
    unknown = np.isnan(evidence.embeddings)
    missing = np.asarray(unknown.any(axis=2))
    assert (missing == unknown.all(axis=2)).all()
    assert (np.asarray(evidence.activity.any(axis=1)) | missing).all()
    assert (evidence.clean_s >= 0).all() and (evidence.clean_s <= evidence.window_ms / 1000 + 0.1).all()
    assert 0 <= found.speech_ms <= chunk.end_ms - chunk.start_ms
    assert evidence.embedding_model and evidence.segmentation_model


def test_diarizer_names_its_model(
    diarizer: tuple[DiarizationEngine, ModelInfo], request: pytest.FixtureRequest
) -> None:
    engine_id = request.node.callspec.params["diarizer"]
    assert_model_is_named(diarizer[1], engine_id)


def test_evidence_covers_the_chunk(diarizer: tuple[DiarizationEngine, ModelInfo]) -> None:
    chunk = chunk_of(call_samples())
    [found] = diarized(diarizer[0], chunk)
    assert_evidence_is_well_formed(found, chunk)
    assert found.evidence.activity.any()
    assert np.isfinite(found.evidence.embeddings).any()
    assert found.speech_ms > 0


def test_diarizer_answers_each_chunk_in_order(diarizer: tuple[DiarizationEngine, ModelInfo]) -> None:
    quiet, voice = chunk_of(silence(SHORT_S)), chunk_of(call_samples())
    first, second = diarized(diarizer[0], quiet, voice)
    assert_evidence_is_well_formed(first, quiet)
    assert_evidence_is_well_formed(second, voice)
    assert first.speech_ms == 0 and not first.evidence.activity.any()
    assert second.speech_ms > 0


@pytest.mark.parametrize("core_ms", [20, 300])
def test_a_very_short_chunk_is_diarized(diarizer: tuple[DiarizationEngine, ModelInfo], core_ms: int) -> None:
    chunk = chunk_of(call_samples()[: SAMPLE_RATE_HZ * core_ms // 1000], margin_ms=0)
    [found] = diarized(diarizer[0], chunk)
    assert_evidence_is_well_formed(found, chunk)


def test_an_empty_batch_has_no_evidence(diarizer: tuple[DiarizationEngine, ModelInfo]) -> None:
    assert diarizer[0].run([]) == []


def test_evidence_survives_the_object_store(diarizer: tuple[DiarizationEngine, ModelInfo]) -> None:
    [found] = diarized(diarizer[0], chunk_of(call_samples()))
    back = unpack(pack(found.evidence))
    assert (back.activity == found.evidence.activity).all()
    assert (back.window_start_ms == found.evidence.window_start_ms).all()
    assert (np.isnan(back.embeddings) == np.isnan(found.evidence.embeddings)).all()
    np.testing.assert_allclose(back.embeddings, found.evidence.embeddings, rtol=2e-3, atol=2e-3)


def test_importing_the_engines_imports_no_model_library() -> None:
    modules = {path.partition(":")[0] for path in (*ASR_ENGINES.values(), *DIARIZATION_ENGINES.values())}
    heavy = ("torch", "whisperx", "pyannote.audio", "ctranslate2", "faster_whisper", "transformers")
    code = (
        f"import importlib, sys; [importlib.import_module(name) for name in {sorted(modules)!r}]; "
        f"loaded = [name for name in {heavy!r} if name in sys.modules]; sys.exit(' '.join(loaded) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("task", list(Task))
def test_an_unknown_engine_is_refused_with_the_known_names(task: Task) -> None:
    with pytest.raises(EngineUnavailable, match="stub"):
        engine_name(task, speech_settings("bogus", "bogus"))
