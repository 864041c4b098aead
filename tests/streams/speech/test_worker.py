"""A speech worker as a process on real engines: one answer for every chunk, in a fair order."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.evidence import unpack
from schemas.records import ChunkCut, ChunkDiarized, ChunkTranscribed
from schemas.values import Lane, Task
from streams.speech import answers
from streams.speech.runner import SHORT_BATCHES
from tests.deadline import until
from tests.streams.speech.lane import (
    ANSWER_TIMEOUT_S,
    Answer,
    Lanes,
    WorkerProcess,
    cut_of,
    cuts_of,
    flac,
    metric,
    speech_worker,
    with_round,
)


@pytest.fixture(scope="module")
def asr(module_workspace: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    """One worker for all tests that leave it alive; it runs one chunk at a time."""
    with speech_worker(module_workspace, tmp_path_factory.mktemp("asr"), BATCH_SIZE="1") as worker:
        yield worker


@pytest.fixture
def lanes(module_workspace: Mapping[str, str]) -> Iterator[Lanes]:
    made = Lanes(module_workspace)
    yield made
    made.close()


def test_health_says_unready_until_the_model_is_loaded(asr: WorkerProcess) -> None:
    states = []

    def ready() -> bool:
        states.append(asr.health()[0])
        return states[-1] == 200

    until(ready, ANSWER_TIMEOUT_S, "ready")
    assert asr.lines("model.loaded")
    assert set(states) <= {200, 503}
    body = asr.health()[1]
    shown = {name: body[name] for name in ("role", "engine", "model", "device", "compute_type")}
    assert shown == {"role": "asr", "engine": "stub", "model": "stub", "device": "cpu", "compute_type": "none"}


def test_every_chunk_of_both_lanes_is_transcribed(asr: WorkerProcess, lanes: Lanes) -> None:
    cuts = cuts_of(20) + cuts_of(20, lane=Lane.INTERACTIVE)
    lanes.send(cuts)
    words = lanes.answered_once(cuts)
    for cut in cuts:
        answer = words[cut.event_id]
        assert isinstance(answer, ChunkTranscribed)
        assert (answer.index, answer.job_id, answer.chunk_sha256) == (cut.index, cut.job_id, cut.object.sha256)
        assert (answer.made_by.engine, answer.actor) == ("stub", "speech-asr")
        assert cut.start_ms == answer.passages[0].words[0].start_ms
    until(lambda: lanes.lag(Task.ASR) == 0, ANSWER_TIMEOUT_S, "everything committed")
    assert metric(asr, "palimpsest_chunks_answered_total") >= 40
    assert metric(asr, "palimpsest_audio_seconds_total") >= 20


def test_work_of_the_other_role_is_left_to_it(asr: WorkerProcess, lanes: Lanes) -> None:
    both, other = cut_of(0), replace(cut_of(1), tasks=(Task.DIARIZATION,))
    lanes.send([other, both])
    lanes.answered([both])
    until(lambda: lanes.lag(Task.ASR) == 0, ANSWER_TIMEOUT_S, "everything committed")
    assert other.event_id not in {answer.cause_id for answer in lanes.read()}


def test_audio_that_is_missing_or_damaged_is_answered(asr: WorkerProcess, lanes: Lanes) -> None:
    missing, damaged, other, good = (cut_of(index) for index in range(4))
    lanes.send([missing], stored=False)
    lanes.store.put(damaged.object.key, b"no sound")
    lanes.store.put(other.object.key, flac(99))
    lanes.send([damaged, other], stored=False)
    lanes.send([good])
    found = lanes.answered_once([missing, damaged, other, good])
    codes = [lanes.failure(cut).code for cut in (missing, damaged, other)]
    assert codes == [answers.OBJECT_MISSING, answers.OBJECT_DAMAGED, answers.OBJECT_DAMAGED]
    assert not lanes.failure(missing).retryable
    assert isinstance(found[good.event_id], ChunkTranscribed)


def test_what_is_no_chunk_goes_to_the_dead_letters(asr: WorkerProcess, lanes: Lanes) -> None:
    lanes.send_bytes(b"no avro")
    lanes.send_bytes(None)
    dead = lanes.dead_letters(2)
    until(lambda: lanes.lag(Task.ASR) == 0, ANSWER_TIMEOUT_S, "everything committed")
    assert {letter["value"] for letter in dead} == {b"no avro", b""}
    assert all(letter["__dlq.errors.topic"] == b"chunks.batch" for letter in dead)


def test_a_chunk_the_model_refuses_fails_alone_and_may_be_retried(asr: WorkerProcess, lanes: Lanes) -> None:
    bad, good = cut_of(0, "stub:fail-round=0"), cut_of(1)
    again = with_round(bad, 1)
    lanes.send([bad, good, again])
    found = lanes.answered_once([bad, good, again])
    assert (lanes.failure(bad).code, lanes.failure(bad).tries) == ("stub_failed", 1)
    assert isinstance(found[good.event_id], ChunkTranscribed)
    assert isinstance(found[again.event_id], ChunkTranscribed)


def test_a_model_that_is_short_of_memory_again_and_again_is_replaced(asr: WorkerProcess, lanes: Lanes) -> None:
    before = metric(asr, "palimpsest_child_restarts_total")
    cuts = cuts_of(SHORT_BATCHES, "stub:short-task=asr")
    lanes.send(cuts)
    assert all(isinstance(answer, ChunkTranscribed) for answer in lanes.answered_once(cuts).values())
    assert metric(asr, "palimpsest_out_of_memory_total") == SHORT_BATCHES
    assert metric(asr, "palimpsest_child_restarts_total") == before + 1
    [chunk] = cuts_of(1)
    lanes.send([chunk])
    assert isinstance(lanes.answered_once([chunk])[chunk.event_id], ChunkTranscribed)


def test_an_idle_model_is_unloaded_and_comes_back(
    module_workspace: Mapping[str, str], lanes: Lanes, tmp_path: Path
) -> None:
    first, second = cuts_of(2)
    with speech_worker(module_workspace, tmp_path, Task.DIARIZATION, MODEL_IDLE_S="1") as worker:
        lanes.send([first])
        until(lambda: _diarized(lanes, first), ANSWER_TIMEOUT_S, "the first answer")
        until(lambda: worker.health()[1].get("model_loaded") is False, ANSWER_TIMEOUT_S, "the model is unloaded")
        assert worker.health()[0] == 200
        lanes.send([second])
        until(lambda: _diarized(lanes, second), ANSWER_TIMEOUT_S, "the second answer")
        assert len({line["pid"] for line in worker.lines("model.loaded")}) >= 2
        assert worker.lines("model.unloaded")


def _diarized(lanes: Lanes, cut: ChunkCut) -> bool:
    return any(isinstance(answer, ChunkDiarized) and answer.cause_id == cut.event_id for answer in lanes.read())


def test_interactive_chunks_go_four_to_one_before_waiting_batch_chunks(asr: WorkerProcess, lanes: Lanes) -> None:
    blocker = cut_of(0, "stub:slow=3-task=asr")
    lanes.send([blocker])
    until(lambda: lanes.tries(Task.ASR) == 1, ANSWER_TIMEOUT_S, "the first chunk runs")
    slow, quick = cuts_of(10, "stub:slow=0.02-task=asr"), cuts_of(12, "stub:slow=0.02-task=asr", lane=Lane.INTERACTIVE)
    lanes.send(slow)
    lanes.send(quick)
    lanes.answered([blocker, *slow, *quick])
    lane_of = {cut.event_id: cut.lane for cut in (*slow, *quick)}
    order = [lane_of[answer.cause_id] for answer in sorted(lanes.answers, key=_moment) if answer.cause_id in lane_of]
    last_interactive = max(number for number, lane in enumerate(order) if lane is Lane.INTERACTIVE)
    assert order[: last_interactive + 1].count(Lane.BATCH) in (2, 3)


def _moment(answer: Answer) -> int:
    return answer.occurred_at


def test_the_diarizer_stores_its_evidence(module_workspace: Mapping[str, str], lanes: Lanes, tmp_path: Path) -> None:
    cuts = cuts_of(20)
    lanes.send(cuts)
    with speech_worker(module_workspace, tmp_path, Task.DIARIZATION) as worker:
        until(lambda: lanes.lag(Task.DIARIZATION) == 0, ANSWER_TIMEOUT_S, "everything committed")
        assert worker.stop() == 0
    ours = {cut.event_id for cut in cuts}
    found = [answer for answer in lanes.read() if isinstance(answer, ChunkDiarized) and answer.cause_id in ours]
    assert len(found) == len(cuts)
    for answer in found:
        stored = lanes.store.get(answer.evidence.key)
        assert len(stored) == answer.evidence.size_bytes
        assert unpack(stored).activity.any()


def test_settings_that_make_no_sense_are_named(module_workspace: Mapping[str, str], tmp_path: Path) -> None:
    with speech_worker(module_workspace, tmp_path, ASR_ENGINE="bogus") as worker:
        assert worker.process.wait(ANSWER_TIMEOUT_S) == 2
        assert "bogus" in worker.log.read_text()
