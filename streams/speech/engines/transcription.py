"""From chunks to passages: listen, encode, decode, decode again where it failed, time the words.

In: chunks of any jobs, and loaded models. Out: a transcription per chunk, times in the recording.
Knows no model file and no device. What is good enough is decided in `retry.py`, what is a window in `windows.py`, what
is missing in `coverage.py`; how much of it a job gets, in `effort.py`.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from schemas.values import JobWarning, Passage
from streams.speech.engines import coverage, languages, prompts, retry
from streams.speech.engines.alignment import Piece
from streams.speech.engines.batching import in_groups
from streams.speech.engines.effort import EFFORTS, Effort
from streams.speech.engines.languages import Heard, Language
from streams.speech.engines.passages import Kept, passage, transcription
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
from streams.speech.engines.windows import halves, speech_spans, windows

_LETTER = re.compile(r"\w")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Listened:
    """A chunk, where speech is heard in its core, and how much work it is given."""

    chunk: ChunkAudio
    core: NDArray[np.float32]
    speech: list[Span]
    prompt: Prompt
    language: str | None = None  # known from a first try

    @property
    def effort(self) -> Effort:
        return EFFORTS[self.chunk.options.quality]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """A stretch of one chunk's core that is decoded at once; `cut` is how it may be halved."""

    place: int
    span: Span
    samples: NDArray[np.float32]
    input_samples: int
    cut: tuple[Span, Span] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Row:
    """A window as the model heard it, in one language, and the tries so far; `origin` is the window before halving."""

    window: Window
    origin: Span
    encoding: Encoding
    language: Language
    of: Listened
    halved: bool = False
    attempts: tuple[Attempt, ...] = ()

    @property
    def utterance(self) -> Utterance:
        return Utterance(
            encoding=self.encoding,
            language=self.language.code,
            prompt=self.of.prompt.tokens,
            translate=self.of.chunk.options.translate,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """A row and the try that was kept."""

    row: Row
    keep: Keep

    @property
    def has_text(self) -> bool:
        return self.keep.verdict is not Verdict.SILENT and bool(_LETTER.search(self.keep.attempt.text))

    @property
    def kept(self) -> Kept:
        row = self.row
        ladder = row.of.effort.ladder
        return Kept(span=row.window.span, keep=self.keep, language=row.language, ladder=ladder, halved=row.halved)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Doubt:
    """What a first try left open: passages with too little text, and windows of the core to try again."""

    sparse: Sequence[Passage] = ()
    windows: Sequence[Span] = ()


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
        language, known = chunk.options.language, self._whisper.languages
        if language is not None and language not in known:
            said = f"The model does not write the language {language!r}."
        elif chunk.options.languages and known.isdisjoint(chunk.options.languages):
            said = f"The model writes none of the languages {', '.join(chunk.options.languages)}."
        else:
            return None
        return ChunkError(code="unsupported_language", message=said, retryable=False)

    def _transcribed(self, chunks: Sequence[ChunkAudio]) -> list[Transcription]:
        listened = self._listened(chunks)
        first = self._passages(listened, _windows(listened))
        doubted = [_doubted(one, found) for one, found in zip(listened, first, strict=True)]
        again = self._passages(
            [replace(one, language=_language_of(found)) for one, found in zip(listened, first, strict=True)],
            [_window(listened[place], place, span) for place, doubt in enumerate(doubted) for span in doubt.windows],
        )
        return [
            transcription(
                _with_second_tries(found, doubt, second),
                (*prompts.prompt_warnings(one.prompt), *self._aligner_warnings(found)),
            )
            for one, found, doubt, second in zip(listened, first, doubted, again, strict=True)
        ]

    def _aligner_warnings(self, passages: Sequence[Passage]) -> list[JobWarning]:
        if self._aligners is None:
            return []
        codes = sorted({passage.language for passage in passages})
        return [warning for code in codes for warning in self._aligners.warning(code)]

    def _listened(self, chunks: Sequence[ChunkAudio]) -> list[Listened]:
        cores = [chunk.core() for chunk in chunks]
        return [
            Listened(
                chunk=chunk,
                core=core,
                speech=speech_spans(scores, EFFORTS[chunk.options.quality].speech, chunk.end_ms - chunk.start_ms),
                prompt=prompts.prompt(chunk.options.prompt, chunk.options.vocabulary, self._whisper.text_tokens),
            )
            for chunk, core, scores in zip(chunks, cores, self._voice_activity.scores(cores), strict=True)
        ]

    def _passages(self, listened: Sequence[Listened], found: Sequence[Window]) -> list[list[Passage]]:
        """The passages of each chunk that these windows give, in order."""
        decoded = _likeliest(self._decoded(self._encoded(listened, found)))
        texts = sorted(
            (one for one in decoded if one.has_text), key=lambda one: (one.row.window.place, one.row.window.span)
        )
        passages: list[list[Passage]] = [[] for _ in listened]
        for one, pieces, pauses in self._timed(listened, texts):
            place = one.row.window.place
            passages[place].append(passage(listened[place].chunk, one.kept, pieces, pauses))
        return passages

    def _encoded(self, listened: Sequence[Listened], found: Sequence[Window]) -> list[Row]:
        heard = in_groups(found, lambda window: window.input_samples, self._batch_size, self._listen)
        rows: list[Row] = []
        for place, of in enumerate(listened):
            mine = [(w, e, p) for w, (e, p) in zip(found, heard, strict=True) if w.place == place]
            spoken = _languages(of, [(window, probabilities) for window, _, probabilities in mine])
            rows.extend(
                Row(window=window, origin=window.span, encoding=encoding, language=language, of=of)
                for (window, encoding, _), candidates in zip(mine, spoken, strict=True)
                for language in candidates
            )
        return rows

    def _listen(self, found: Sequence[Window]) -> list[tuple[Encoding, dict[str, float]]]:
        encodings = self._whisper.encode([window.samples for window in found], found[0].input_samples)
        return list(zip(encodings, self._whisper.detect(encodings), strict=True))

    def _decoded(self, rows: Sequence[Row]) -> list[Found]:
        """Each row down its ladder; rows on the same rung share batches."""
        found: list[Found] = []
        while rows:
            tries: list[tuple[Row, Decoding]] = []
            cut: list[Row] = []
            for row in rows:
                ladder = row.of.effort.ladder
                match retry.next_step(row.attempts, can_halve=row.window.cut is not None, ladder=ladder):
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
            lambda one: (one[1], one[0].window.input_samples, len(one[0].of.prompt.tokens)),
            self._batch_size,
            lambda some: self._whisper.decode([row.utterance for row, _ in some], some[0][1]),
        )
        return [
            replace(row, attempts=(*row.attempts, attempt)) for (row, _), attempt in zip(tries, attempts, strict=True)
        ]

    def _halved(self, rows: Sequence[Row]) -> list[Row]:
        parts = [(row, _window(row.of, row.window.place, span)) for row in rows for span in row.window.cut or ()]
        heard = in_groups(
            [window for _, window in parts], lambda window: window.input_samples, self._batch_size, self._listen
        )
        return [
            replace(row, window=window, encoding=encoding, halved=True, attempts=())
            for (row, window), (encoding, _) in zip(parts, heard, strict=True)
        ]

    def _timed(
        self, listened: Sequence[Listened], found: Sequence[Found]
    ) -> Iterator[tuple[Found, list[Piece], list[Span]]]:
        """Each text with its pieces and the pauses of its chunk."""
        pauses = {place: speech_between_pauses(listened[place].core) for place in {f.row.window.place for f in found}}
        timed = in_groups(
            found,
            lambda one: (one.row.language.code, one.row.of.chunk.options.translate, one.row.window.input_samples),
            self._batch_size,
            self._pieces,
        )
        for one, pieces in zip(found, timed, strict=True):
            yield one, pieces, pauses[one.row.window.place]

    def _pieces(self, found: Sequence[Found]) -> list[list[Piece]]:
        """The pieces of each row's text, times from the start of its window; all rows in one language."""
        code, translated = found[0].row.language.code, found[0].row.of.chunk.options.translate
        aligner = self._aligners.of(code) if self._aligners and not translated else None
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
            translated=translated,
        )


def _windows(listened: Sequence[Listened]) -> list[Window]:
    return [
        replace(_window(one, place, span), cut=halves(span, one.speech))
        for place, one in enumerate(listened)
        for span in windows(one.speech)
    ]


def _window(of: Listened, place: int, span: Span) -> Window:
    samples = of.core[span.samples()]
    total = input_samples(len(samples), full=of.effort.full_input)
    return Window(place=place, span=span, samples=samples, input_samples=total)


def _doubted(of: Listened, passages: Sequence[Passage]) -> Doubt:
    """Speech without words, and passages with too few, where the job is worth a second try."""
    chunk = of.chunk
    timed = all(word.start_ms is not None for passage in passages for word in passage.words)
    if not of.effort.covers or chunk.options.translate or not timed:
        return Doubt()
    speech = [span.shifted(chunk.start_ms) for span in of.speech]
    sparse = [passage for passage in passages if coverage.is_sparse(passage, speech)]
    spoken = [passage for passage in passages if passage not in sparse]
    words = [Span(start_ms=w.start_ms or 0, end_ms=w.end_ms or 0) for p in spoken for w in p.words]
    under = [Span(start_ms=passage.start_ms, end_ms=passage.end_ms) for passage in sparse]
    tried = {span.shifted(chunk.start_ms) for span in windows(of.speech)}
    again = [part for span in under for part in coverage.parts(span, halves(span, speech))]
    missed = [span for span in coverage.missing(speech, [*words, *under]) if span not in tried]
    return Doubt(sparse=sparse, windows=[span.shifted(-chunk.start_ms) for span in (*again, *missed)])


def _with_second_tries(first: Sequence[Passage], doubt: Doubt, second: Sequence[Passage]) -> list[Passage]:
    """The passages of a chunk, with what is to be believed of the second tries."""
    found = [replace(passage, flags=(*passage.flags, coverage.RECOVERED)) for passage in second if _good(passage)]
    better = coverage.replaced(first, doubt.sparse, found)
    apart = [p for p in found if not any(p.start_ms >= s.start_ms and p.end_ms <= s.end_ms for s in doubt.sparse)]
    return coverage.merged(better, apart)


def _good(passage: Passage) -> bool:
    """Whether a second try is to be believed: nobody said that there is something to be found."""
    sure = passage.avg_logprob >= coverage.AVG_LOGPROB_MIN and passage.no_speech_probability <= coverage.NO_SPEECH_MAX
    return sure and "repetitive" not in passage.flags


def _language_of(passages: Sequence[Passage]) -> str | None:
    return transcription(passages, ()).language


def _languages(of: Listened, found: Sequence[tuple[Window, dict[str, float]]]) -> list[list[Language]]:
    """The languages each window is decoded in: one, or two where a lone window is unclear."""
    asked = of.chunk.options.language or of.language
    if asked is not None:
        return [[Language(code=asked, probability=p.get(asked, 0.0))] for _, p in found]
    allowed = [languages.among(p, of.chunk.options.languages) for _, p in found]
    if len(found) == 1:
        return [languages.rivals(allowed[0])]
    heard = [Heard(length_ms=w.span.length_ms, probabilities=p) for (w, _), p in zip(found, allowed, strict=True)]
    return [[language] for language in languages.choose(heard)]


def _likeliest(found: Sequence[Found]) -> list[Found]:
    """Of a window that was decoded in two languages, what is in the one whose text is likelier."""
    by_window: dict[tuple[int, Span], dict[str, list[Found]]] = defaultdict(lambda: defaultdict(list))
    for one in found:
        by_window[one.row.window.place, one.row.origin][one.row.language.code].append(one)
    return [one for candidates in by_window.values() for one in max(candidates.values(), key=_likelihood)]


def _likelihood(found: Sequence[Found]) -> tuple[bool, float]:
    good = all(one.keep.verdict is Verdict.GOOD for one in found)
    return good, sum(one.keep.attempt.avg_logprob for one in found) / len(found)
