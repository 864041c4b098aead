"""An answer names its chunk, its cause and what made it, and has the same id however often it is given."""

from schemas.records import ChunkFailed
from schemas.values import Task
from streams.speech import answers
from streams.speech.answers import Moment
from streams.speech.engines.protocol import ModelInfo, Transcription
from tests.streams.speech.lane import cut_of, with_round

MOMENT = Moment(actor="speech-asr", occurred_at=1_700_000_000_123)
INFO = ModelInfo(
    engine="e", engine_version="1", model="m", model_sha256="", device="cpu", compute_type="int8", options={"beam": "5"}
)


def test_an_answer_repeats_what_it_answers() -> None:
    cut = with_round(cut_of(3), 2)
    made_by = answers.model_run(INFO, batch_size=8, elapsed_ms=70)
    done = answers.transcribed(cut, Transcription(passages=(), language="de"), made_by, MOMENT)
    assert (done.cause_id, done.job_id, done.tenant_id) == (cut.event_id, cut.job_id, cut.tenant_id)
    assert (done.index, done.round, done.chunk_sha256) == (3, 2, cut.object.sha256)
    assert (done.actor, done.occurred_at, done.language) == ("speech-asr", 1_700_000_000_123, "de")
    assert (done.made_by.batch_size, done.made_by.elapsed_ms, done.made_by.options) == (8, 70, {"beam": "5"})


def failed(index: int, task: Task, code: str) -> ChunkFailed:
    return answers.failed(cut_of(index, job_id="job"), task, answers.failure(code, tries=3), MOMENT)


def test_the_id_of_an_answer_depends_on_its_chunk_and_task_alone() -> None:
    first = failed(1, Task.ASR, answers.ENGINE_CRASHED)
    assert first.event_id == failed(1, Task.ASR, answers.OBJECT_MISSING).event_id
    others = {
        failed(2, Task.ASR, answers.ENGINE_CRASHED).event_id,
        failed(1, Task.DIARIZATION, "engine_crashed").event_id,
    }
    assert len(others | {first.event_id}) == 3


def test_a_crash_may_be_retried_and_lost_audio_may_not() -> None:
    assert failed(1, Task.ASR, answers.ENGINE_CRASHED).retryable
    assert failed(1, Task.ASR, answers.ENGINE_TIMEOUT).retryable
    assert not failed(1, Task.ASR, answers.OBJECT_MISSING).retryable
    assert not failed(1, Task.ASR, answers.OBJECT_DAMAGED).retryable


def test_evidence_of_other_content_is_another_object() -> None:
    cut = cut_of(1)
    one, other = answers.evidence_object(cut, b"one"), answers.evidence_object(cut, b"other")
    assert one == answers.evidence_object(cut, b"one")
    assert one.key != other.key
    assert one.key.startswith(f"tenant/{cut.job_id}/evidence/00001-{cut.object.sha256[:16]}-")
    assert one.size_bytes == 3
