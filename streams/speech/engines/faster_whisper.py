"""A second recogniser: faster-whisper's own sequential transcription, one chunk after the other.

In: chunks. Out: passages with timed words, of each chunk's core.
It reads a chunk window by window, each with time stamps of its own, and has its own fallbacks and voice activity: no
batches, so it is slower on a GPU, and nothing of it is shared with the first recogniser but the model's files.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from runtime.settings import Speech
from schemas.values import LOW_CONFIDENCE, Passage, Quality, Timing, TranscriptionOptions, Word
from streams.speech.engines import languages, libraries, model_files, prompts, retry, whisper_files
from streams.speech.engines.protocol import ChunkAudio, ChunkError, EngineUnavailable, ModelInfo, Transcription

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

BEAMS = {Quality.DRAFT: 1, Quality.BALANCED: 5, Quality.ACCURATE: 10}
TRANSLATION = "en"


class FasterWhisperEngine:
    """Whisper as faster-whisper runs it."""

    def __init__(self, settings: Speech) -> None:
        self._settings = settings
        self._model: WhisperModel | None = None

    def load(self) -> ModelInfo:
        """Loads the model; raises EngineUnavailable when there is no such model, device or arithmetic."""
        libraries.prepare()
        from faster_whisper import WhisperModel

        settings = self._settings
        compute_type = whisper_files.compute_type(settings)
        folder = whisper_files.folder(settings)
        try:
            self._model = WhisperModel(
                str(folder),
                device=settings.device,
                compute_type=compute_type,
                cpu_threads=settings.threads,
                local_files_only=True,
            )
        except (RuntimeError, ValueError) as error:
            raise EngineUnavailable(f"The model in {folder} cannot be loaded: {error}") from error
        return ModelInfo(
            engine="faster-whisper",
            engine_version=model_files.versions("faster-whisper", "ctranslate2"),
            model=whisper_files.name(settings, folder),
            model_sha256=model_files.sha256_of(folder / "model.bin"),
            device=settings.device,
            compute_type=str(self._model.model.compute_type),
            aligner="whisper-xattn",
            options={"vad": "silero"},
        )

    def run(self, batch: Sequence[ChunkAudio]) -> list[Transcription | ChunkError]:
        """One outcome per chunk, in order; `load` comes first."""
        if self._model is None:
            raise EngineUnavailable("The recogniser is not loaded.")
        return [self._one(self._model, chunk) for chunk in batch]

    def _one(self, model: "WhisperModel", chunk: ChunkAudio) -> Transcription | ChunkError:
        options = chunk.options
        wanted = [options.language] if options.language else list(options.languages)
        if wanted and not set(wanted) & set(model.supported_languages):
            message = f"The model does not write {', '.join(wanted)}."
            return ChunkError(code="unsupported_language", message=message, retryable=False)
        core = chunk.core()
        prompt = prompts.prompt(
            options.prompt,
            options.vocabulary,
            lambda text: model.hf_tokenizer.encode(text, add_special_tokens=False).ids,
        )
        segments, info = model.transcribe(
            core,
            language=options.language or _language(model, core, options),
            task="translate" if options.translate else "transcribe",
            beam_size=BEAMS[options.quality],
            initial_prompt=list(prompt.tokens) or None,
            condition_on_previous_text=False,
            word_timestamps=True,
            vad_filter=True,
        )
        language = TRANSLATION if options.translate else info.language
        passages = [_passage(chunk, segment, language, info.language_probability) for segment in segments]
        found = tuple(passage for passage in passages if passage.text)
        return Transcription(
            passages=found,
            language=language if found else None,
            language_probability=min(1.0, info.language_probability) if found else None,
            warnings=prompts.prompt_warnings(prompt),
        )


def _language(model: "WhisperModel", core: Any, options: TranscriptionOptions) -> str | None:
    """The likeliest of the languages that may be spoken; None where any may, and the library looks for itself."""
    if not options.languages:
        return None
    _, _, heard = model.detect_language(core)
    probabilities = languages.among(dict(heard), options.languages)
    return max(probabilities, key=lambda code: probabilities[code], default=None)


def _passage(chunk: ChunkAudio, segment: Any, language: str, probability: float) -> Passage:
    def place(seconds: float) -> int:
        return min(chunk.end_ms, max(chunk.start_ms, chunk.start_ms + round(seconds * 1000)))

    words = tuple(
        Word(
            text=word.word.strip(),
            start_ms=place(word.start),
            end_ms=place(word.end),
            confidence=min(1.0, max(0.0, float(word.probability))),
            timing=Timing.ALIGNED,
        )
        for word in segment.words or ()
        if word.word.strip()
    )
    starts = [word.start_ms for word in words if word.start_ms is not None]
    ends = [word.end_ms for word in words if word.end_ms is not None]
    looping = segment.compression_ratio > retry.COMPRESSION_RATIO_MAX
    doubtful = looping or segment.avg_logprob < retry.AVG_LOGPROB_MIN
    flags = {LOW_CONFIDENCE: doubtful, "repetitive": looping, "retried": bool(segment.temperature)}
    return Passage(
        start_ms=min([place(segment.start), *starts]),
        end_ms=max([place(segment.end), *ends]),
        text=segment.text.strip(),
        language=language,
        language_probability=min(1.0, probability),
        avg_logprob=min(0.0, segment.avg_logprob),
        no_speech_probability=min(1.0, max(0.0, segment.no_speech_prob)),
        compression_ratio=segment.compression_ratio,
        temperature=segment.temperature or 0.0,
        flags=tuple(flag for flag, raised in flags.items() if raised),
        words=words,
    )
