"""Plain WhisperX, as its own documentation uses it: transcribe, align, diarize, assign words to speakers.

In: clips. Out: hypotheses. The same weights, arithmetic and threads as ours, everything else its defaults.
Imported in the measured process only: it imports WhisperX, torch and pyannote.audio, which takes 20 s.
"""

import io
import logging
import os
import warnings
from contextlib import redirect_stdout
from itertools import groupby
from pathlib import Path
from typing import Any

from bench.evaluation.hypothesis import (
    FoundPassage,
    FoundSegment,
    FoundTurn,
    FoundWord,
    Hypothesis,
    Stopwatch,
    peak_bytes,
)
from bench.evaluation.sound import plain_samples
from runtime.settings import Speech
from streams.speech.engines import libraries, model_files

BATCH_SIZE = 8  # WhisperX's command line's


class PlainWhisperX:
    """`whisperx.load_model(...).transcribe(...)` and what follows it."""

    def __init__(self, speech: Speech, parts: tuple[str, ...]) -> None:
        self._speech = speech
        self._parts = parts
        self._model: Any = None
        self._diarize: Any = None
        self._aligners: dict[str, Any] = {}

    def load(self) -> dict[str, str]:
        """Loads the models and says which."""
        # The same rules for idle threads as ours, or the two could not share a machine.
        libraries.prepare()
        os.environ |= {"HF_HUB_OFFLINE": "1", "PYANNOTE_METRICS_ENABLED": "0"}
        warnings.filterwarnings("ignore")
        logging.disable(logging.WARNING)
        import torch
        import whisperx

        speech = self._speech
        torch.set_num_threads(speech.threads)
        loaded = {}
        if "asr" in self._parts:
            folder = model_files.whisper_folder(speech)
            with redirect_stdout(io.StringIO()):
                self._model = whisperx.load_model(
                    str(folder or speech.model),
                    speech.device,
                    compute_type=speech.compute_type,
                    threads=speech.threads,
                )
            name = folder.name if folder else speech.model
            loaded["whisperx"] = f"{name}, {speech.compute_type} ({model_files.versions('whisperx')})"
        if "diarization" in self._parts:
            from bench.evaluation.plain_pyannote import diarization_pipeline

            self._diarize = diarization_pipeline(speech)
            loaded["pyannote"] = f"segmentation-3.0 + CAM++ ({model_files.versions('pyannote-audio')})"
        return loaded

    def run(self, audio: Path) -> Hypothesis:
        """The transcript of a file."""
        import whisperx

        watch = Stopwatch()
        with watch.stage("prepare"):
            samples = plain_samples(audio)
        result: dict[str, Any] = {"segments": [], "language": None}
        passages: tuple[FoundPassage, ...] = ()
        if self._model is not None:
            with watch.stage("asr"), redirect_stdout(io.StringIO()):
                result = self._model.transcribe(samples, batch_size=BATCH_SIZE)
                language = str(result["language"])
                passages = tuple(FoundPassage(text=s["text"].strip(), language=language) for s in result["segments"])
                result = {"language": language, **self._aligned(result, samples)}
        turns: Any = None
        if self._diarize is not None:
            with watch.stage("diarization"):
                turns = self._diarize(samples)
            with watch.stage("assembly"):
                result = {**whisperx.assign_word_speakers(turns, result)}
        return Hypothesis(
            language=result["language"],
            passages=passages,
            segments=tuple(segment for found in result["segments"] for segment in _segments(found)),
            words=tuple(word for found in result["segments"] for word in _words(found)),
            turns=None if turns is None else _turns(turns),
            stages=watch.stages,
            peak_bytes=peak_bytes(),
        )

    def _aligned(self, result: dict[str, Any], samples: Any) -> dict[str, Any]:
        """With word times where weights of the language are mounted; plain WhisperX has no other aligner."""
        import whisperx

        language, folder = result["language"], self._speech.align_model_dir
        if not folder or not result["segments"]:
            return result
        if language not in self._aligners:
            try:
                self._aligners[language] = whisperx.load_align_model(language, self._speech.device, model_dir=folder)
            except Exception:  # no weights for it, in as many ways as there are kinds of weights
                self._aligners[language] = None
        if self._aligners[language] is None:
            return result
        model, metadata = self._aligners[language]
        return {**whisperx.align(result["segments"], model, metadata, samples, self._speech.device)}


def _segments(found: dict[str, Any]) -> list[FoundSegment]:
    """A segment, or its runs of words by one speaker where words have speakers of their own."""
    words = found.get("words")
    if not words:
        return [FoundSegment(text=found["text"].strip(), start_s=found["start"], speaker=found.get("speaker"))]
    runs = [(speaker, list(run)) for speaker, run in groupby(words, lambda w: w.get("speaker", found.get("speaker")))]
    return [
        FoundSegment(
            text=" ".join(w["word"] for w in run), start_s=run[0].get("start", found["start"]), speaker=speaker
        )
        for speaker, run in runs
    ]


def _words(found: dict[str, Any]) -> list[FoundWord]:
    words = found.get("words") or [{"word": word} for word in found["text"].split()]
    return [
        FoundWord(text=w["word"], start_s=w.get("start"), end_s=w.get("end"), confidence=w.get("score")) for w in words
    ]


def _turns(frame: Any) -> tuple[FoundTurn, ...]:
    rows = zip(frame["start"], frame["end"], frame["speaker"], strict=True)
    return tuple(FoundTurn(start_s=float(start), end_s=float(end), speaker=str(who)) for start, end, who in rows)
