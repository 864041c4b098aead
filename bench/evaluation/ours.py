"""Our way from a file to a transcript, without Kafka: the same functions that the processes run.

In: clips. Out: hypotheses. Cutting, engines and assembly are production's; what lies between them (object store,
topics, database) is left out. Imports no model library: the engines do when they load.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from bench.evaluation.hypothesis import (
    FoundPassage,
    FoundSegment,
    FoundTurn,
    FoundWord,
    Hypothesis,
    Stopwatch,
    peak_bytes,
)
from bench.evaluation.sound import PCM_SCALE, cut_chunks
from runtime.settings import Speech
from schemas import evidence
from schemas.records import ChunkTranscribed, UploadReceived
from schemas.values import LOW_CONFIDENCE, Lane, Passage, PlannedChunk, Segment, StoredObject, TranscriptionOptions
from streams.assembler.assembly import AssemblyTask, Material, Wanted, assemble
from streams.assembler.speakers import ChunkEvidence, SpeakerBounds, speaker_turns
from streams.assembler.state import AssemblyOrder
from streams.assembler.turns import Turn
from streams.chunker import plan
from streams.chunker.cut import Chunk
from streams.speech import answers
from streams.speech.engines import asr_engine, diarization_engine
from streams.speech.engines.protocol import ChunkAudio, Diarization, ModelInfo, Transcription

JOB = "00000000-0000-0000-0000-000000000000"
TENANT = "evaluation"
T = TypeVar("T")
_NO_OBJECT = StoredObject(key="", size_bytes=0, sha256="")


class EngineRefused(Exception):
    """An engine answered a chunk of the evaluation with an error."""


class Ours:
    """Recogniser and diarizer in one process, chunks in batches of the settings' size."""

    def __init__(self, speech: Speech, options: TranscriptionOptions, parts: Sequence[str]) -> None:
        self._options = options
        self._batch_size = speech.batch_size
        self._asr = asr_engine(speech) if "asr" in parts else None
        self._diarizer = diarization_engine(speech) if "diarization" in parts else None
        self._models: list[ModelInfo] = []

    def load(self) -> dict[str, str]:
        """Loads the models and says which."""
        self._models = [engine.load() for engine in (self._asr, self._diarizer) if engine is not None]
        return {model.engine: f"{model.model}, {model.compute_type} ({model.engine_version})" for model in self._models}

    def run(self, audio: Path) -> Hypothesis:
        """The transcript of a file."""
        watch = Stopwatch()
        with watch.stage("prepare"):
            chunks = cut_chunks(audio)
            heard = [_heard(chunk, self._options) for chunk in chunks]
        transcriptions: list[Transcription] = []
        if self._asr is not None:
            with watch.stage("asr"):
                transcriptions = [_transcription(one) for one in self._in_batches(self._asr.run, heard)]
        diarizations: list[Diarization] = []
        if self._diarizer is not None:
            with watch.stage("diarization"):
                diarizations = [_diarization(one) for one in self._in_batches(self._diarizer.run, heard)]
        with watch.stage("assembly"):
            material = Material(
                transcribed=[self._record(*pair) for pair in zip(chunks, transcriptions, strict=False)],
                evidence=[_evidence(*pair) for pair in zip(chunks, diarizations, strict=False)],
            )
            made = assemble(self._task(chunks), material)
        turns = speaker_turns(material.evidence, SpeakerBounds()) if self._diarizer is not None else None
        return Hypothesis(
            language=made.language,
            passages=tuple(_passage(p) for found in transcriptions for p in found.passages),
            segments=tuple(_segment(segment) for segment in made.segments),
            words=tuple(_words(made.segments)),
            turns=None if turns is None else tuple(_turn(turn) for turn in turns),
            stages=watch.stages,
            peak_bytes=peak_bytes(),
        )

    def _in_batches(
        self, run: Callable[[Sequence[ChunkAudio]], Sequence[T]], heard: Sequence[ChunkAudio]
    ) -> Iterator[T]:
        for first in range(0, len(heard), self._batch_size):
            yield from run(heard[first : first + self._batch_size])

    def _record(self, chunk: Chunk, found: Transcription) -> ChunkTranscribed:
        upload = UploadReceived(
            event_id=JOB,
            job_id=JOB,
            tenant_id=TENANT,
            actor=TENANT,
            occurred_at=0,
            cause_id=JOB,
            audio=_NO_OBJECT,
            options=self._options,
        )
        planned = PlannedChunk(
            index=chunk.index,
            start_ms=chunk.start_ms,
            end_ms=chunk.end_ms,
            object_start_ms=chunk.object_start_ms,
            object=_NO_OBJECT,
        )
        cut = plan.chunk_cut(upload, planned, Lane.BATCH, 0)
        made_by = answers.model_run(self._models[0], self._batch_size, 0)
        return answers.transcribed(cut, found, made_by, answers.Moment(actor=TENANT, occurred_at=0))

    def _task(self, chunks: Sequence[Chunk]) -> AssemblyTask:
        wanted = tuple(
            Wanted(index=c.index, round=0, chunk_sha256="", start_ms=c.start_ms, end_ms=c.end_ms) for c in chunks
        )
        return AssemblyTask(
            job_id=JOB,
            tenant_id=TENANT,
            partition=0,
            order=AssemblyOrder(round=0, cause_id=JOB, occurred_at=0),
            options=self._options,
            words=wanted,
            evidence=wanted,
        )


def _heard(chunk: Chunk, options: TranscriptionOptions) -> ChunkAudio:
    return ChunkAudio(
        samples=chunk.samples * PCM_SCALE,
        object_start_ms=chunk.object_start_ms,
        start_ms=chunk.start_ms,
        end_ms=chunk.end_ms,
        options=options,
    )


def _transcription(outcome: object) -> Transcription:
    if not isinstance(outcome, Transcription):
        raise EngineRefused(str(outcome))
    return outcome


def _diarization(outcome: object) -> Diarization:
    if not isinstance(outcome, Diarization):
        raise EngineRefused(str(outcome))
    return outcome


def _evidence(chunk: Chunk, found: Diarization) -> ChunkEvidence:
    # Through the bytes of its object, which keep less of each value.
    stored = evidence.unpack(evidence.pack(found.evidence))
    return ChunkEvidence(start_ms=chunk.start_ms, end_ms=chunk.end_ms, evidence=stored)


def _passage(passage: Passage) -> FoundPassage:
    return FoundPassage(text=passage.text, language=passage.language, flags=passage.flags)


def _segment(segment: Segment) -> FoundSegment:
    return FoundSegment(text=segment.text, start_s=segment.start_ms / 1000, speaker=segment.speaker_id)


def _words(segments: Sequence[Segment]) -> Iterator[FoundWord]:
    for segment in segments:
        for word in segment.words:
            yield FoundWord(
                text=word.text,
                start_s=None if word.start_ms is None else word.start_ms / 1000,
                end_s=None if word.end_ms is None else word.end_ms / 1000,
                confidence=word.confidence,
                segment_confidence=segment.confidence,
                doubted=LOW_CONFIDENCE in segment.flags,
            )


def _turn(turn: Turn) -> FoundTurn:
    return FoundTurn(start_s=turn.start_ms / 1000, end_s=turn.end_ms / 1000, speaker=turn.speaker)
