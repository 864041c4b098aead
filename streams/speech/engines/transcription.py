"""From chunks to passages: listen, encode, decode, decode again where it failed, time the words.

In: chunks of any jobs, and loaded models. Out: a transcription per chunk, times in the recording.
Knows no model file and no device. What is good enough is decided in `retry.py`, what is a window in `windows.py`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from schemas.values import JobWarning, Passage
from streams.speech.engines import languages, prompts, retry
from streams.speech.engines.alignment import Piece, words_of
from streams.speech.engines.batching import in_groups
from streams.speech.engines.languages import Heard, Language
from streams.speech.engines.prompts import Prompt
from streams.speech.engines.protocol import ChunkAudio, ChunkError, Transcription
from streams.speech.engines.recognition import (
    Encoding,
    Spoken,
    Utterance,
    Whisper,
    input_samples,
    speech_between_pauses,
)
from streams.speech.engines.retry import Attempt, Decoding, Halve, Keep, Verdict
from streams.speech.engines.spans import Span
from streams.speech.engines.voice_activity import VoiceActivity
from streams.speech.engines.wav2vec2 import MountedAligners
from streams.speech.engines.windows import SPEECH, halves, speech_spans, windows

_LETTER = re.compile(r"\w")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """A stretch of one chunk's core that is decoded at once; `cut` is how it may be halved."""

    place: int
    span: Span
    samples: NDArray[np.float32]
    cut: tuple[Span, Span] | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Row:
    """A window as the model heard it, and the tries so far."""

    window: Window
    encoding: Encoding
    language: Language
    prompt: tuple[int, ...]
    halved: bool = False
    attempts: tuple[Attempt, ...] = ()

    @property
    def utterance(self) -> Utterance:
        return Utterance(encoding=self.encoding, language=self.language.code, prompt=self.prompt)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """A row and the try that was kept."""

    row: Row
    keep: Keep

    @property
    def has_text(self) -> bool:
        return self.keep.verdict is not Verdict.SILENT and bool(_LETTER.search(self.keep.attempt.text))


class Transcriber:
    """Runs batches of chunks through the models."""

    def __init__(
        self,
        *,
        whisper: Whisper,
        voice_activity: VoiceActivity,
        aligners: MountedAligners | None,
        batch_size: int,
    ) -> None:
        self._whisper = whisper
        self._voice_activity = voice_activity
        self._aligners = aligners
        self._batch_size = batch_size

    def run(self, batch: Sequence[ChunkAudio]) -> list[Transcription | ChunkError]:
        """One outcome per chunk, in order."""
        refused = {place: error for place, chunk in enumerate(batch) if (error := self._refusal(chunk))}
        chunks = [chunk for place, chunk in enumerate(batch) if place not in refused]
        answers = iter(self._transcribed(chunks))
        return [refused[place] if place in refused else next(answers) for place in range(len(batch))]

    def _refusal(self, chunk: ChunkAudio) -> ChunkError | None:
        language = chunk.options.language
        if language is not None and language not in self._whisper.languages:
            return ChunkError(
                code="unsupported_language",
                message=f"The model does not write the language {language!r}.",
                retryable=False,
            )
        return None

    def _transcribed(self, chunks: Sequence[ChunkAudio]) -> list[Transcription]:
        vocabularies = [
            prompts.vocabulary_prompt(chunk.options.vocabulary, self._whisper.text_tokens) for chunk in chunks
        ]
        rows = self._encoded(chunks, vocabularies, self._windows(chunks))
        found = sorted(
            (found for found in self._decoded(rows) if found.has_text),
            key=lambda found: (found.row.window.place, found.row.window.span),
        )
        passages: list[list[Passage]] = [[] for _ in chunks]
        for one, passage in zip(found, self._passages(chunks, found), strict=True):
            passages[one.row.window.place].append(passage)
        return [
            _transcription(mine, (*prompts.dropped_warning(vocabulary), *self._aligner_warnings(mine)))
            for mine, vocabulary in zip(passages, vocabularies, strict=True)
        ]

    def _aligner_warnings(self, passages: Sequence[Passage]) -> list[JobWarning]:
        if self._aligners is None:
            return []
        codes = sorted({passage.language for passage in passages})
        return [warning for code in codes for warning in self._aligners.warning(code)]

    def _windows(self, chunks: Sequence[ChunkAudio]) -> list[Window]:
        cores = [chunk.core() for chunk in chunks]
        found: list[Window] = []
        for place, (core, scores) in enumerate(zip(cores, self._voice_activity.scores(cores), strict=True)):
            chunk = chunks[place]
            spans = speech_spans(scores, SPEECH, chunk.end_ms - chunk.start_ms)
            found.extend(
                Window(place=place, span=span, samples=core[span.samples()], cut=halves(span, spans))
                for span in windows(spans)
            )
        return found

    def _encoded(
        self, chunks: Sequence[ChunkAudio], vocabularies: Sequence[Prompt], found: Sequence[Window]
    ) -> list[Row]:
        heard = in_groups(found, _input_samples, self._batch_size, self._listen)
        rows: list[Row] = []
        for place, chunk in enumerate(chunks):
            mine = [(w, e, p) for w, (e, p) in zip(found, heard, strict=True) if w.place == place]
            spoken = _languages(chunk, [(window, probabilities) for window, _, probabilities in mine])
            rows.extend(
                Row(window=window, encoding=encoding, language=language, prompt=vocabularies[place].tokens)
                for (window, encoding, _), language in zip(mine, spoken, strict=True)
            )
        return rows

    def _listen(self, found: Sequence[Window]) -> list[tuple[Encoding, dict[str, float]]]:
        encodings = self._whisper.encode([window.samples for window in found])
        return list(zip(encodings, self._whisper.detect(encodings), strict=True))

    def _decoded(self, rows: Sequence[Row]) -> list[Found]:
        """Each row down its ladder; rows on the same rung share batches."""
        found: list[Found] = []
        while rows:
            tries: list[tuple[Row, Decoding]] = []
            cut: list[Row] = []
            for row in rows:
                match retry.next_step(row.attempts, can_halve=row.window.cut is not None):
                    case Keep() as keep:
                        found.append(Found(row=row, keep=keep))
                    case Decoding() as how:
                        tries.append((row, how))
                    case Halve():
                        cut.append(row)
                    case never:
                        assert_never(never)
            rows = [*self._tried(tries), *self._halved(cut)]
        return found

    def _tried(self, tries: Sequence[tuple[Row, Decoding]]) -> list[Row]:
        attempts = in_groups(
            tries,
            lambda one: (one[1], _input_samples(one[0].window), len(one[0].prompt)),
            self._batch_size,
            lambda some: self._whisper.decode([row.utterance for row, _ in some], some[0][1]),
        )
        return [
            replace(row, attempts=(*row.attempts, attempt)) for (row, _), attempt in zip(tries, attempts, strict=True)
        ]

    def _halved(self, rows: Sequence[Row]) -> list[Row]:
        parts = [(row, window) for row in rows for window in _parts(row.window)]
        heard = in_groups([window for _, window in parts], _input_samples, self._batch_size, self._listen)
        return [
            replace(row, window=window, encoding=encoding, halved=True, attempts=())
            for (row, window), (encoding, _) in zip(parts, heard, strict=True)
        ]

    def _passages(self, chunks: Sequence[ChunkAudio], found: Sequence[Found]) -> list[Passage]:
        pauses = {place: speech_between_pauses(chunks[place].core()) for place in {f.row.window.place for f in found}}
        timed = in_groups(
            found,
            lambda one: (one.row.language.code, _input_samples(one.row.window)),
            self._batch_size,
            self._pieces,
        )
        return [
            _passage(chunks[one.row.window.place], one, pieces, pauses[one.row.window.place])
            for one, pieces in zip(found, timed, strict=True)
        ]

    def _pieces(self, found: Sequence[Found]) -> list[list[Piece]]:
        """The pieces of each row's text, times from the start of its window; all rows in one language."""
        code = found[0].row.language.code
        aligner = self._aligners.of(code) if self._aligners else None
        if aligner is not None:
            return [aligner.align(one.row.window.samples, one.keep.attempt.text) for one in found]
        return self._whisper.align(
            [
                Spoken(
                    encoding=one.row.encoding,
                    samples=len(one.row.window.samples),
                    tokens=one.keep.attempt.tokens,
                )
                for one in found
            ],
            code,
        )


def _input_samples(window: Window) -> int:
    return input_samples(len(window.samples))


def _languages(chunk: ChunkAudio, found: Sequence[tuple[Window, dict[str, float]]]) -> list[Language]:
    asked = chunk.options.language
    if asked is not None:
        return [Language(code=asked, probability=p.get(asked, 0.0)) for _, p in found]
    return languages.choose([Heard(length_ms=w.span.length_ms, probabilities=p) for w, p in found])


def _parts(window: Window) -> list[Window]:
    return [
        Window(
            place=window.place,
            span=span,
            samples=window.samples[span.shifted(-window.span.start_ms).samples()],
            cut=None,
        )
        for span in window.cut or ()
    ]


def _passage(chunk: ChunkAudio, found: Found, pieces: Sequence[Piece], speech: Sequence[Span]) -> Passage:
    window = found.row.window.span.shifted(chunk.start_ms)
    placed = [replace(p, span=p.span.shifted(window.start_ms) if p.span else None) for p in pieces]
    heard = [span.shifted(chunk.start_ms) for span in speech]
    attempt, language = found.keep.attempt, found.row.language
    return Passage(
        start_ms=window.start_ms,
        end_ms=window.end_ms,
        text=attempt.text,
        language=language.code,
        language_probability=min(1.0, language.probability),
        avg_logprob=attempt.avg_logprob,
        no_speech_probability=attempt.no_speech_probability,
        compression_ratio=attempt.compression_ratio,
        temperature=attempt.decoding.temperature,
        flags=retry.flags(found.keep, halved=found.row.halved),
        words=words_of(placed, language.code, heard, window),
    )


def _transcription(passages: Sequence[Passage], warnings: tuple[JobWarning, ...]) -> Transcription:
    voted = languages.vote(
        (
            Language(code=passage.language, probability=passage.language_probability),
            passage.end_ms - passage.start_ms,
        )
        for passage in passages
    )
    return Transcription(
        passages=tuple(passages),
        language=voted.code if voted else None,
        language_probability=voted.probability if voted else None,
        warnings=warnings,
    )
