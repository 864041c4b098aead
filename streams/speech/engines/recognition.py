"""Whisper, one level below WhisperX's `transcribe`: rows of any jobs and languages in one batch.

In: windows of samples. Out: encodings, languages, text and word times of each row.
Each window is encoded once; languages, every try and the word times are taken from that encoding. It stays where the
model is, row by row, so rows can be regrouped for a retry or by language without encoding them again.
Knows no chunk, no window plan and no rule for what is good enough.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_compression_ratio
from faster_whisper.vad import VadOptions, get_speech_timestamps
from numpy.typing import NDArray
from whisperx.audio import HOP_LENGTH, log_mel_spectrogram

from streams.speech.engines.alignment import Piece
from streams.speech.engines.device_rows import Rows, rows_of, stored
from streams.speech.engines.protocol import SAMPLE_RATE_HZ
from streams.speech.engines.retry import Attempt, Decoding
from streams.speech.engines.spans import SAMPLES_PER_MS, Span

# Whisper needs silence after the words, or it invents more; it does not need all of 30 s of it.
PADDING_MIN_S, INPUT_MIN_S, INPUT_MAX_S, INPUT_STEP_S = 5, 10, 30, 5
POSITIONS = 448
HYPOTHESES = 5
# How much earlier than a forced alignment its attention says that a word begins and ends; chosen on English recordings.
ATTENTION_EARLY_MS = 30
# A processor's caches hold no more: eight at once take a seventh longer. Decoding gains from every row.
ENCODED_AT_ONCE = {"cpu": 2}
PAUSES = VadOptions(threshold=0.4, min_silence_duration_ms=80, speech_pad_ms=20, min_speech_duration_ms=60)

Encoding = Rows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Utterance:
    """A row as the decoder takes it: what was encoded, its language and the tokens before its text."""

    encoding: Encoding
    language: str
    prompt: tuple[int, ...]
    translate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spoken:
    """A row as the aligner takes it: what was encoded, how much of it is sound, and the tokens found in it."""

    encoding: Encoding
    samples: int
    tokens: tuple[int, ...]


class Whisper:
    """A Whisper model in CTranslate2's format."""

    def __init__(self, model: WhisperModel) -> None:
        self._whisper = model
        self._mels = int(model.feat_kwargs.get("feature_size") or 80)
        self._tokenizer_of = cache(self._tokenizer)

    @property
    def languages(self) -> frozenset[str]:
        """Codes of the languages the model can write."""
        return frozenset(self._whisper.supported_languages)

    @property
    def compute_type(self) -> str:
        """The arithmetic in use."""
        return str(self._whisper.model.compute_type)

    def text_tokens(self, text: str) -> list[int]:
        """The tokens of a text."""
        return list(self._tokenizer_of("en").encode(text))

    def encode(self, windows: Sequence[NDArray[np.float32]], total: int) -> list[Encoding]:
        """The encoding of each window, with silence after it up to `total` samples."""
        model = self._whisper.model
        at_once = ENCODED_AT_ONCE.get(model.device, len(windows))
        features = [log_mel_spectrogram(window, self._mels, total - len(window), model.device) for window in windows]
        return [
            row
            for first in range(0, len(features), at_once)
            for row in rows_of(model.encode(stored(features[first : first + at_once]), to_cpu=False))
        ]

    def detect(self, encodings: Sequence[Encoding]) -> list[dict[str, float]]:
        """The probability of each language, per row."""
        if not self._whisper.model.is_multilingual:
            return [{"en": 1.0} for _ in encodings]
        found = self._whisper.model.detect_language(stored(encodings))
        return [{token[2:-2]: p for token, p in row} for row in found]

    def decode(self, rows: Sequence[Utterance], how: Decoding) -> list[Attempt]:
        """One try per row; all prompts must be of one length, the languages may differ."""
        results = self._whisper.model.generate(
            stored([row.encoding for row in rows]),
            [self._prompt(row) for row in rows],
            max_length=POSITIONS,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_blank=True,
            suppress_tokens=[-1],
            **_search(how),
        )
        return [self._attempt(how, result) for result in results]

    def align(self, rows: Sequence[Spoken], language: str, *, translated: bool = False) -> list[list[Piece]]:
        """The pieces of each row's text with times from the start of its window; all rows in one language."""
        found = self._whisper.find_alignment(
            self._tokenizer_of(language, translated),
            [list(row.tokens) for row in rows],
            stored([row.encoding for row in rows]),
            [max(1, row.samples // HOP_LENGTH) for row in rows],
        )
        return [[_piece(entry) for entry in row if entry["word"]] for row in found]

    def _tokenizer(self, language: str, translate: bool = False) -> Tokenizer:
        model = self._whisper
        return Tokenizer(
            model.hf_tokenizer,
            model.model.is_multilingual,
            task="translate" if translate else "transcribe",
            language=language,
        )

    def _prompt(self, row: Utterance) -> list[int]:
        tokenizer = self._tokenizer_of(row.language, row.translate)
        before = [tokenizer.sot_prev, *row.prompt] if row.prompt else []
        return [*before, *tokenizer.sot_sequence, tokenizer.no_timestamps]

    def _attempt(self, how: Decoding, result: Any) -> Attempt:
        tokenizer = self._tokenizer_of("en")
        tokens = result.sequences_ids[0]
        text = tokenizer.decode(tokens).strip()
        return Attempt(
            decoding=how,
            tokens=tuple(token for token in tokens if token < tokenizer.eot),
            text=text,
            avg_logprob=min(0.0, result.scores[0] * len(tokens) / (len(tokens) + 1)),
            no_speech_probability=min(1.0, max(0.0, result.no_speech_prob)),
            compression_ratio=get_compression_ratio(text) if text else 0.0,
        )


def load_whisper(folder: Path, device: str, compute_type: str, threads: int) -> Whisper:
    """The model in a folder."""
    return Whisper(
        WhisperModel(
            str(folder),
            device=device,
            compute_type=compute_type,
            cpu_threads=threads,
            local_files_only=True,
        )
    )


def input_samples(samples: int, *, full: bool = False) -> int:
    """Length of the model's input for a window: a few lengths only, so that windows share batches."""
    if full:
        return INPUT_MAX_S * SAMPLE_RATE_HZ
    wanted_s = max(INPUT_MIN_S, samples / SAMPLE_RATE_HZ + PADDING_MIN_S)
    steps = -int(-wanted_s // INPUT_STEP_S)
    return min(INPUT_MAX_S, steps * INPUT_STEP_S) * SAMPLE_RATE_HZ


def speech_between_pauses(samples: NDArray[np.float32]) -> list[Span]:
    """Where speech is heard, down to pauses of 80 ms (Silero, the one model here that hears how loud a sound is)."""
    peak = float(np.abs(samples).max(initial=0.0))
    return [
        Span(start_ms=found["start"] // SAMPLES_PER_MS, end_ms=found["end"] // SAMPLES_PER_MS)
        for found in get_speech_timestamps(samples / peak if peak else samples, PAUSES)
    ]


def _search(how: Decoding) -> dict[str, Any]:
    if how.temperature > 0:
        return {
            "beam_size": 1,
            "num_hypotheses": HYPOTHESES,
            "sampling_topk": 0,
            "sampling_temperature": how.temperature,
        }
    return {"beam_size": how.beam_size, "no_repeat_ngram_size": how.no_repeat_ngram_size}


def _piece(entry: dict[str, Any]) -> Piece:
    return Piece(
        text=entry["word"],
        span=Span(start_ms=round(entry["start"] * 1000), end_ms=round(entry["end"] * 1000)).shifted(ATTENTION_EARLY_MS),
        probability=min(1.0, float(entry["probability"])),
    )
