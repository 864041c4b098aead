"""Alignment with mounted wav2vec2 weights: any weights will do to see that words get times, and in which order."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from runtime.settings import Speech
from schemas.values import Timing
from streams.speech.engines.protocol import Transcription
from streams.speech.engines.wav2vec2 import TORCHAUDIO_CHECKPOINTS, Letter, MountedAligners, spell, split_words
from streams.speech.engines.whisperx import WhisperXEngine
from tests.streams.speech.engines.conftest import Recording

LABELS = {"<pad>": 0, "|": 1, "a": 2, "s": 3, "k": 4}


def test_words_keep_their_spaces_and_characters_have_none() -> None:
    assert split_words(" ask  not", spaced=True) == [" ask", " not"]
    assert split_words("音声", spaced=False) == ["音", "声"]


def test_digits_are_spelled_and_punctuation_is_not() -> None:
    assert spell([" As,", " 4", " -"], LABELS, spaced=True) == [
        Letter(label="a", word=0),
        Letter(label="s", word=0),
        Letter(label="|", word=None),
        Letter(label="4", word=1),
    ]


def test_languages_are_those_with_weights(tmp_path: Path) -> None:
    (tmp_path / "de").mkdir()
    (tmp_path / "de" / "config.json").write_text("{}")
    (tmp_path / TORCHAUDIO_CHECKPOINTS["fr"]).write_bytes(b"")
    aligners = MountedAligners(tmp_path, "cpu")
    assert aligners.languages == {"de", "fr"}
    assert aligners.of("en") is None and aligners.warning("en") == ()


@pytest.fixture(scope="module")
def mounted(tmp_path_factory: pytest.TempPathFactory) -> MountedAligners:
    """An English model of the real kind, small, with weights drawn by chance."""
    import torch
    from transformers import (
        Wav2Vec2Config,
        Wav2Vec2CTCTokenizer,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2ForCTC,
        Wav2Vec2Processor,
    )

    folder = tmp_path_factory.mktemp("aligners") / "en"
    folder.mkdir()
    labels = {sign: number for number, sign in enumerate(["<pad>", "|", *"abcdefghijklmnopqrstuvwxyz'"])}
    (folder / "labels.json").write_text(json.dumps(labels))
    torch.manual_seed(1)
    config = Wav2Vec2Config(  # type: ignore[no-untyped-call]
        vocab_size=len(labels),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(8,) * 7,
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
    )
    Wav2Vec2ForCTC(config).save_pretrained(folder)
    vocabulary = str(folder / "labels.json")
    tokenizer = Wav2Vec2CTCTokenizer(vocabulary, pad_token="<pad>")  # type: ignore[no-untyped-call]
    sound = Wav2Vec2FeatureExtractor()  # type: ignore[no-untyped-call]
    processor = Wav2Vec2Processor(feature_extractor=sound, tokenizer=tokenizer)  # type: ignore[no-untyped-call]
    processor.save_pretrained(folder)
    return MountedAligners(folder.parent, "cpu")


@pytest.mark.slow
@pytest.mark.parametrize(
    "text", ["Ask not, what 4 countries can do.", "1961", "...", "far too much text for so little sound " * 4]
)
def test_words_get_times_in_order_or_none(mounted: MountedAligners, text: str) -> None:
    aligner = mounted.of("en")
    assert aligner is not None
    samples = (np.random.default_rng(2).standard_normal(32_000) * 0.1).astype(np.float32)
    pieces = aligner.align(samples, text)
    assert [piece.text.strip() for piece in pieces] == text.split()
    spans = [piece.span for piece in pieces if piece.span is not None]
    assert all(0 <= span.start_ms <= span.end_ms <= 2_000 for span in spans)
    assert all(before.end_ms <= after.start_ms for before, after in pairwise(spans))


@pytest.mark.slow
def test_weights_that_do_not_load_are_a_warning_not_a_failure(
    speech_settings: Speech, recording: Recording, tmp_path: Path
) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "config.json").write_text("{}")
    engine = WhisperXEngine(replace(speech_settings, align_model_dir=str(tmp_path)))
    assert engine.load().aligner == "wav2vec2 (en), else whisper-xattn"
    [found] = engine.run([recording("jfk")])
    assert isinstance(found, Transcription)
    assert [warning.code for warning in found.warnings] == ["aligner_unavailable"]
    assert all(word.timing is Timing.ALIGNED for passage in found.passages for word in passage.words)
