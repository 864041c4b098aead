"""Word times by forced alignment with wav2vec2, for the languages whose weights an operator has mounted.

In: a window's samples and its text. Out: the words as pieces with times; a word the model cannot spell has none.
The steps are those of WhisperX's `align`, without its sentence splitter, which fetches data from the network.
A folder holds one folder per language code (Hugging Face layout: config.json, weights, vocabulary), or torchaudio's
checkpoint of a language under its published name.
"""

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from schemas.values import JobWarning
from streams.speech.engines.alignment import UNSPACED_LANGUAGES, Piece
from streams.speech.engines.protocol import SAMPLE_RATE_HZ
from streams.speech.engines.spans import Span

TORCHAUDIO_CHECKPOINTS: Mapping[str, str] = {
    "en": "wav2vec2_fairseq_base_ls960_asr_ls960.pth",
    "fr": "wav2vec2_voxpopuli_base_10k_asr_fr.pt",
    "de": "wav2vec2_voxpopuli_base_10k_asr_de.pt",
    "es": "wav2vec2_voxpopuli_base_10k_asr_es.pt",
    "it": "wav2vec2_voxpopuli_base_10k_asr_it.pt",
}
INPUT_MIN_SAMPLES = 400
WORD_END = "|"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A character of the text as the model is asked for it, and the word it belongs to; no word between words."""

    label: str
    word: int | None


class MountedAligners:
    """The aligners in a folder, each loaded when its language is first met and kept."""

    def __init__(self, folder: Path, device: str) -> None:
        self._folder = folder
        self._device = device
        self._loaded: dict[str, Wav2Vec2Aligner | None] = {}

    @cached_property
    def languages(self) -> frozenset[str]:
        """Codes of the languages there are weights for."""
        models = {config.parent.name for config in self._folder.glob("*/config.json")}
        checkpoints = {code for code, name in TORCHAUDIO_CHECKPOINTS.items() if (self._folder / name).is_file()}
        return frozenset(models | checkpoints)

    def of(self, language: str) -> "Wav2Vec2Aligner | None":
        """The language's aligner; None where there are no weights, or none that load."""
        if language not in self.languages:
            return None
        if language not in self._loaded:
            self._loaded[language] = self._load(language)
        return self._loaded[language]

    def warning(self, language: str) -> tuple[JobWarning, ...]:
        """What to tell of a language whose weights are there and did not load."""
        if self._loaded.get(language, self) is not None:
            return ()
        message = f"The mounted aligner for {language!r} does not load; words are timed by cross-attention instead."
        return (JobWarning(code="aligner_unavailable", message=message),)

    def _load(self, language: str) -> "Wav2Vec2Aligner | None":
        from whisperx.alignment import load_align_model

        folder = self._folder / language
        name = str(folder) if folder.is_dir() else None
        try:
            with redirect_stdout(io.StringIO()):  # the library prints its errors
                model, metadata = load_align_model(language, self._device, name, str(self._folder))
        except Exception as error:  # whatever is wrong with the weights, no job fails for it
            log.warning("an aligner does not load", action="aligner_failed", language=language, error=str(error))
            return None
        return Wav2Vec2Aligner(
            model=model.eval(),
            labels=metadata["dictionary"],
            is_torchaudio=metadata["type"] == "torchaudio",
            spaced=language not in UNSPACED_LANGUAGES,
            device=self._device,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Wav2Vec2Aligner:
    """One language's model and the labels it knows."""

    model: Any
    labels: Mapping[str, int]
    is_torchaudio: bool
    spaced: bool
    device: str

    def align(self, samples: NDArray[np.float32], text: str) -> list[Piece]:
        """The words of `text` with times from the start of `samples`; without times where no path was found."""
        from whisperx.alignment import backtrack, get_trellis, merge_repeats

        words = split_words(text, spaced=self.spaced)
        letters = spell(words, self.labels, spaced=self.spaced)
        if not letters:
            return [Piece(text=word, span=None) for word in words]
        blank = self.labels.get("[pad]", self.labels.get("<pad>", 0))
        emission = self._emission(samples, blank)
        unknown = emission.size(1) - 1
        tokens = [self.labels.get(letter.label, unknown) for letter in letters]
        path = backtrack(get_trellis(emission, tokens, blank), emission, tokens, blank)
        if path is None:
            return [Piece(text=word, span=None) for word in words]
        found = merge_repeats(path, "".join(letter.label for letter in letters))
        frame_ms = len(samples) * 1000 / SAMPLE_RATE_HZ / emission.size(0)
        times = [(round(f.start * frame_ms), round(f.end * frame_ms), f.score) for f in found]
        return _pieces(words, letters, times)

    def _emission(self, samples: NDArray[np.float32], blank: int) -> Any:
        """Log probabilities (frame, label), and in a last column those of a sign the model does not know."""
        import torch

        padded = np.pad(samples, (0, max(0, INPUT_MIN_SAMPLES - len(samples))))
        waveform = torch.from_numpy(padded)[None].to(self.device)
        with torch.inference_mode():
            output = self.model(waveform)
            scores = output[0] if self.is_torchaudio else output.logits
            emission = torch.log_softmax(scores, dim=-1)[0].cpu()
        spoken = [label for label in range(emission.size(1)) if label != blank]
        return torch.cat([emission, emission[:, spoken].amax(dim=1, keepdim=True)], dim=1)


def split_words(text: str, *, spaced: bool) -> list[str]:
    """The words of a text as pieces, their leading spaces kept; single characters where words are not spaced."""
    if spaced:
        return [f" {word}" for word in text.split()]
    return list(text)


def spell(words: Sequence[str], labels: Mapping[str, int], *, spaced: bool) -> list[Letter]:
    """What the model is asked to find: letters and digits of each word, and a mark between words."""
    letters: list[Letter] = []
    for place, word in enumerate(words):
        spoken = [sign for sign in word.strip().lower() if sign in labels or sign.isalnum()]
        if spoken and letters and spaced and WORD_END in labels:
            letters.append(Letter(label=WORD_END, word=None))
        letters.extend(Letter(label=sign, word=place) for sign in spoken if len(sign) == 1)
    return letters


def _pieces(words: Sequence[str], letters: Sequence[Letter], times: Sequence[tuple[int, int, float]]) -> list[Piece]:
    pieces: list[Piece] = []
    for place, word in enumerate(words):
        mine = [time for letter, time in zip(letters, times, strict=False) if letter.word == place]
        if not mine:
            pieces.append(Piece(text=word, span=None))
            continue
        span = Span(start_ms=mine[0][0], end_ms=mine[-1][1])
        pieces.append(Piece(text=word, span=span, probability=min(1.0, sum(m[2] for m in mine) / len(mine))))
    return pieces
