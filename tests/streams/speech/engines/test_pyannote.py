"""The diarizer on a phone call of two: its evidence tells them apart."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runtime.settings import Speech
from schemas.values import TranscriptionOptions
from streams.assembler.speakers import ChunkEvidence, SpeakerBounds, speaker_turns
from streams.speech.engines.protocol import ChunkAudio, Diarization, EngineUnavailable
from streams.speech.engines.pyannote import PyannoteEngine
from tests.streams.speech.engines.conftest import RECORDINGS, Recording

REFERENCE = RECORDINGS.parent / "reference" / "pyannote-sample.rttm"
CELL_MS = 10
DER_MAX = 0.08


def spoken(spans: list[tuple[int, int, str]], speaker: str, cells: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    grid = np.zeros(cells, np.bool_)
    for start_ms, end_ms, name in spans:
        if name == speaker:
            grid[start_ms // CELL_MS : end_ms // CELL_MS] = True
    return grid


def error_rate(reference: list[tuple[int, int, str]], found: list[tuple[int, int, str]]) -> float:
    """Diarization error rate of two speakers, without a collar: the better of the two ways to name them."""
    cells = max(end for _, end, _ in [*reference, *found]) // CELL_MS + 1
    truth = np.stack([spoken(reference, name, cells) for name in sorted({name for *_, name in reference})])
    guess = np.stack([spoken(found, name, cells) for name in sorted({name for *_, name in found})])
    errors = []
    for order in ([0, 1], [1, 0]):
        right = (truth & guess[order]).sum(axis=0)
        errors.append((np.maximum(truth.sum(axis=0), guess.sum(axis=0)) - right).sum())
    return float(min(errors) / truth.sum())


def reference_turns() -> list[tuple[int, int, str]]:
    rows = [line.split() for line in REFERENCE.read_text().splitlines()]
    return [(round(float(r[3]) * 1000), round((float(r[3]) + float(r[4])) * 1000), r[7]) for r in rows]


def diarized(engine: PyannoteEngine, *chunks: ChunkAudio) -> list[Diarization]:
    found = [outcome for outcome in engine.run(chunks) if isinstance(outcome, Diarization)]
    assert len(found) == len(chunks)
    return found


def chunks_of(whole: ChunkAudio, core_ms: int, margin_ms: int) -> list[ChunkAudio]:
    chunks = []
    for start_ms in range(0, whole.end_ms, core_ms):
        first, end_ms = max(0, start_ms - margin_ms), min(whole.end_ms, start_ms + core_ms)
        samples = whole.samples[first * 16 : min(whole.end_ms, end_ms + margin_ms) * 16]
        chunk = ChunkAudio(
            samples=samples,
            object_start_ms=first,
            start_ms=start_ms,
            end_ms=end_ms,
            options=TranscriptionOptions(),
        )
        chunks.append(chunk)
    return chunks


@pytest.mark.parametrize("core_ms", [30_000, 15_000])
def test_two_people_on_the_phone_are_told_apart(diarizer: PyannoteEngine, recording: Recording, core_ms: int) -> None:
    chunks = chunks_of(recording("pyannote-sample"), core_ms, margin_ms=5_000)
    evidence = [
        ChunkEvidence(start_ms=chunk.start_ms, end_ms=chunk.end_ms, evidence=found.evidence)
        for chunk, found in zip(chunks, diarized(diarizer, *chunks), strict=True)
    ]
    turns = [(turn.start_ms, turn.end_ms, turn.speaker) for turn in speaker_turns(evidence, SpeakerBounds())]
    assert len({speaker for *_, speaker in turns}) == 2
    assert error_rate(reference_turns(), turns) <= DER_MAX


def test_a_chunk_says_the_same_in_any_batch(diarizer: PyannoteEngine, recording: Recording) -> None:
    call, speech = recording("pyannote-sample"), recording("jfk")
    [alone] = diarized(diarizer, speech)
    together = diarized(diarizer, call, speech)[1]
    assert (alone.evidence.activity == together.evidence.activity).all()
    np.testing.assert_allclose(alone.evidence.embeddings, together.evidence.embeddings, atol=1e-3)
    assert alone.speech_ms == together.speech_ms


def test_speech_is_counted_in_the_core(diarizer: PyannoteEngine, recording: Recording) -> None:
    call = recording("pyannote-sample")
    cells = call.end_ms // CELL_MS + 1
    anybody = np.any([spoken(reference_turns(), name, cells) for name in {n for *_, n in reference_turns()}], axis=0)
    truth = int(anybody[10_000 // CELL_MS : 20_000 // CELL_MS].sum()) * CELL_MS
    [found] = diarized(diarizer, replace(call, start_ms=10_000, end_ms=20_000))
    assert found.speech_ms == pytest.approx(truth, rel=0.1)


def test_a_device_that_is_missing_is_an_error(speech_settings: Speech) -> None:
    with pytest.raises(EngineUnavailable, match="no CUDA device"):
        PyannoteEngine(replace(speech_settings, device="cuda")).load()


def test_a_broken_model_is_an_error(speech_settings: Speech, tmp_path: Path) -> None:
    mounted = tmp_path / "segmentation-3.0"
    mounted.mkdir()
    (mounted / "pytorch_model.bin").write_bytes(b"nothing")
    with pytest.raises(EngineUnavailable, match="no segmentation model"):
        PyannoteEngine(replace(speech_settings, model_dir=str(tmp_path))).load()
