"""From what was found in windows to the passages of a chunk.

In: a window's kept try, its language and its timed pieces. Out: passages, and what a chunk's passages say together.
Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from schemas.values import JobWarning, Passage
from streams.speech.engines import languages, retry
from streams.speech.engines.alignment import Piece, words_of
from streams.speech.engines.languages import Language
from streams.speech.engines.protocol import ChunkAudio, Transcription
from streams.speech.engines.retry import Keep, Ladder
from streams.speech.engines.spans import Span

TRANSLATION = "en"  # the only language Whisper translates into
TRANSLATED = "translated"
LANGUAGE_UNCLEAR = "language_unclear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a window's tries came to; `span` is in the chunk's core."""

    span: Span
    keep: Keep
    language: Language
    ladder: Ladder
    halved: bool


def passage(chunk: ChunkAudio, kept: Kept, pieces: Sequence[Piece], speech: Sequence[Span]) -> Passage:
    """The passage of a window; the language is that of the text."""
    window = kept.span.shifted(chunk.start_ms)
    placed = [replace(p, span=p.span.shifted(window.start_ms) if p.span else None) for p in pieces]
    heard = [span.shifted(chunk.start_ms) for span in speech]
    attempt = kept.keep.attempt
    written = TRANSLATION if chunk.options.translate else kept.language.code
    return Passage(
        start_ms=window.start_ms,
        end_ms=window.end_ms,
        text=attempt.text,
        language=written,
        language_probability=min(1.0, kept.language.probability),
        avg_logprob=attempt.avg_logprob,
        no_speech_probability=attempt.no_speech_probability,
        compression_ratio=attempt.compression_ratio,
        temperature=attempt.decoding.temperature,
        flags=(*retry.flags(kept.keep, halved=kept.halved, first=kept.ladder.first), *_flags(chunk, kept.language)),
        words=words_of(placed, written, heard, window),
    )


def transcription(passages: Sequence[Passage], warnings: tuple[JobWarning, ...]) -> Transcription:
    """All passages of a chunk."""
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


def _flags(chunk: ChunkAudio, language: Language) -> tuple[str, ...]:
    unclear = chunk.options.language is None and language.probability < languages.SURE
    return ((TRANSLATED,) if chunk.options.translate else ()) + ((LANGUAGE_UNCLEAR,) if unclear else ())
