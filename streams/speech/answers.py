"""The answer to a chunk, as a record.

In: the ChunkCut, what the model made of it, and the moment of the answer. Out: ChunkTranscribed, ChunkDiarized or
ChunkFailed with deterministic ids. Pure: no clock, no store, no Kafka.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.identity import event_id
from schemas.records import UNKNOWN_ROUND, ChunkCut, ChunkDiarized, ChunkFailed, ChunkTranscribed
from schemas.values import ModelRun, StoredObject, Task
from streams.speech.engines.protocol import ModelInfo, Transcription

OBJECT_MISSING = "object_missing"
OBJECT_WITHHELD = "object_withheld"
OBJECT_DAMAGED = "object_damaged"
ENGINE_CRASHED = "engine_crashed"
ENGINE_TIMEOUT = "engine_timeout"
UNDECODABLE = "undecodable"
_RETRYABLE = {OBJECT_WITHHELD, ENGINE_CRASHED, ENGINE_TIMEOUT, UNDECODABLE}
_MESSAGES: Mapping[str, str] = {
    OBJECT_MISSING: "The audio of this part is no longer stored.",
    OBJECT_WITHHELD: "The object store does not hand out the audio of this part.",
    OBJECT_DAMAGED: "The stored audio of this part is damaged.",
    ENGINE_CRASHED: "The speech engine stopped working on this part, each time it was tried.",
    ENGINE_TIMEOUT: "The speech engine did not finish this part in time.",
    UNDECODABLE: "The order to transcribe this part could not be read.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a chunk has no result."""

    code: str
    message: str
    retryable: bool
    tries: int


def failure(code: str, tries: int) -> Failure:
    """A failure of the worker's own: one of the codes above."""
    return Failure(code=code, message=_MESSAGES[code], retryable=code in _RETRYABLE, tries=tries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Who answers, and when (ms UTC): the shell's clock."""

    actor: str
    occurred_at: int


def transcribed(cut: ChunkCut, result: Transcription, made_by: ModelRun, moment: Moment) -> ChunkTranscribed:
    """The words of the chunk."""
    return ChunkTranscribed(
        **_envelope(cut, "ChunkTranscribed", moment),
        language=result.language,
        language_probability=result.language_probability,
        passages=result.passages,
        warnings=result.warnings,
        made_by=made_by,
    )


def diarized(cut: ChunkCut, evidence: StoredObject, speech_ms: int, made_by: ModelRun, moment: Moment) -> ChunkDiarized:
    """The evidence of who speaks; it must be stored already."""
    return ChunkDiarized(
        **_envelope(cut, "ChunkDiarized", moment), evidence=evidence, speech_ms=speech_ms, made_by=made_by
    )


def failed(cut: ChunkCut, task: Task, failure: Failure, moment: Moment) -> ChunkFailed:
    """There will be no result in this round."""
    return ChunkFailed(
        **_envelope(cut, f"ChunkFailed/{task}", moment),
        task=task,
        code=failure.code,
        message=failure.message,
        retryable=failure.retryable,
        tries=failure.tries,
    )


def unreadable(chunk: tuple[str, int], cause_id: str, task: Task, tries: int, moment: Moment) -> ChunkFailed:
    """The answer to work that cannot be read, of the job and index that its key names.

    Tenant, round and hash of the audio are not known; the assembler takes them to be the job's own.
    """
    job_id, index = chunk
    why = failure(UNDECODABLE, tries)
    return ChunkFailed(
        event_id=event_id(cause_id, f"ChunkFailed/{task}"),
        job_id=job_id,
        tenant_id="",
        actor=moment.actor,
        occurred_at=moment.occurred_at,
        cause_id=cause_id,
        index=index,
        round=UNKNOWN_ROUND,
        chunk_sha256="",
        task=task,
        code=why.code,
        message=why.message,
        retryable=why.retryable,
        tries=why.tries,
    )


def model_run(info: ModelInfo, batch_size: int, elapsed_ms: int) -> ModelRun:
    """What made the results of one batch."""
    return ModelRun(
        engine=info.engine,
        engine_version=info.engine_version,
        model=info.model,
        model_sha256=info.model_sha256,
        device=info.device,
        compute_type=info.compute_type,
        batch_size=batch_size,
        aligner=info.aligner,
        options=dict(info.options),
        elapsed_ms=elapsed_ms,
    )


def evidence_object(cut: ChunkCut, data: bytes) -> StoredObject:
    """Where the speaker evidence of a chunk is stored.

    The key names the content, because models are not repeatable to the bit: a second run must not
    overwrite what the first answer, which counts, points at.
    """
    sha256 = hashlib.sha256(data).hexdigest()
    name = f"{cut.index:05d}-{cut.object.sha256[:16]}-{sha256[:16]}.bin"
    return StoredObject(key=f"{cut.tenant_id}/{cut.job_id}/evidence/{name}", size_bytes=len(data), sha256=sha256)


def _envelope(cut: ChunkCut, kind: str, moment: Moment) -> dict[str, Any]:
    return {
        # Both roles may fail the same chunk, so the task is part of a failure's kind.
        "event_id": event_id(cut.event_id, kind),
        "job_id": cut.job_id,
        "tenant_id": cut.tenant_id,
        "actor": moment.actor,
        "occurred_at": moment.occurred_at,
        "cause_id": cut.event_id,
        "index": cut.index,
        "round": cut.round,
        "chunk_sha256": cut.object.sha256,
    }
