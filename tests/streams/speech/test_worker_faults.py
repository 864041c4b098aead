"""Speech workers that crash, hang, are killed and come and go: nothing is lost, nothing runs for ever."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from schemas.records import UNKNOWN_ROUND, ChunkFailed, ChunkTranscribed
from schemas.values import Lane, Task
from streams.speech import answers
from tests.deadline import until
from tests.streams.speech.lane import ANSWER_TIMEOUT_S, Lanes, cut_of, cuts_of, speech_worker

# A chunk that hangs may hold up others for 10 s; other tests take their part of the processors meanwhile.
HEAD_OF_LINE_S = 30.0


@pytest.fixture
def lanes(workspace: Mapping[str, str]) -> Iterator[Lanes]:
    made = Lanes(workspace)
    yield made
    made.close()


def until_all_committed(lanes: Lanes) -> None:
    until(lambda: lanes.lag(Task.ASR) == 0, ANSWER_TIMEOUT_S, "everything committed")


def test_a_chunk_that_kills_the_model_fails_in_the_end_and_the_others_do_not(
    workspace: Mapping[str, str], lanes: Lanes, tmp_path: Path
) -> None:
    cuts = [cut_of(index, *(["stub:crash"] if index == 3 else [])) for index in range(10)]
    lanes.send(cuts)
    with speech_worker(workspace, tmp_path, BATCH_SIZE="8") as worker:
        found = lanes.answered_once(cuts)
        [dead] = lanes.dead_letters(1)
        until_all_committed(lanes)
        assert len(worker.lines("child.died")) == 3
        assert worker.stop() == 0
    bad = lanes.failure(cuts[3])
    assert (bad.code, bad.tries, bad.retryable, bad.task) == (answers.ENGINE_CRASHED, 3, True, Task.ASR)
    assert dead["__dlq.errors.attempts"] == b"3"
    assert sum(isinstance(answer, ChunkTranscribed) for answer in found.values()) == 9
    assert all(not metadata for _, metadata in lanes.committed(Task.ASR).values())


def test_a_batch_that_never_ends_is_ended(workspace: Mapping[str, str], lanes: Lanes, tmp_path: Path) -> None:
    hanging, good = cut_of(0, "stub:hang"), cut_of(1)
    lanes.send([hanging, good])
    with speech_worker(workspace, tmp_path, BATCH_TIMEOUT_S="1", CHUNK_TRIES="2"):
        found = lanes.answered_once([hanging, good])
    assert isinstance(found[good.event_id], ChunkTranscribed)
    assert lanes.failure(hanging).code == answers.ENGINE_TIMEOUT


def test_a_chunk_that_hangs_holds_up_the_others_for_seconds(
    workspace: Mapping[str, str], lanes: Lanes, tmp_path: Path
) -> None:
    """With every limit as it is by default: nobody waits for the time limit of a batch, ten minutes."""
    with speech_worker(workspace, tmp_path) as worker:
        known = cuts_of(8)
        lanes.send(known)
        lanes.answered(known)
        hanging = cut_of(0, "stub:hang")
        neighbours = [cut_of(index) for index in range(1, 7)]
        began_s = time.monotonic()
        lanes.send([hanging, *neighbours])
        until(lambda: lanes.tries(Task.ASR) > 0, ANSWER_TIMEOUT_S, "the batch runs")
        later = [cut_of(index, lane=lane) for index in (8, 9) for lane in Lane]
        lanes.send(later)
        lanes.answered_once([*neighbours, *later])
        waited_s = time.monotonic() - began_s
        lanes.answered_once([hanging])
        [*limits] = [line["how"] for line in worker.lines("child.died")]
    assert lanes.failure(hanging).code == answers.ENGINE_TIMEOUT
    assert len(limits) == 3
    print(f"others waited {waited_s:.1f} s for a chunk that hangs; its tries: {limits}")
    assert waited_s < HEAD_OF_LINE_S


def test_a_chunk_that_kills_the_worker_fails_in_the_end_and_the_others_do_not(
    workspace: Mapping[str, str], lanes: Lanes, tmp_path: Path
) -> None:
    cuts = [cut_of(index, *(["stub:kill-worker"] if index == 3 else [])) for index in range(10)]
    lanes.send(cuts)
    for _ in range(2):
        with speech_worker(workspace, tmp_path, INSTANCE_ID="speech-asr", CHUNK_TRIES="2") as worker:
            worker.process.wait(ANSWER_TIMEOUT_S)
    with speech_worker(workspace, tmp_path, INSTANCE_ID="speech-asr", CHUNK_TRIES="2"):
        found = lanes.answered(cuts)
        until_all_committed(lanes)
    assert all(len({answer.event_id for answer in given}) == 1 for given in found.values())
    assert (lanes.failure(cuts[3]).code, lanes.failure(cuts[3]).tries) == (answers.ENGINE_CRASHED, 2)
    assert sum(isinstance(given[0], ChunkTranscribed) for given in found.values()) == 9
    assert len(lanes.dead_letters(1)) == 1


DIES_BEFORE_ITS_COMMIT = """
import os, sys
from streams.speech.intake import Intake
from streams.speech.publish import Publisher
from streams.speech.worker import main
answered = []
send, commit = Publisher.unreadable, Intake.commit
Publisher.unreadable = lambda *given: (answered.append(1), send(*given))
Intake.commit = lambda intake: os._exit(9) if answered else commit(intake)
sys.exit(main(["--role", "asr"]))
"""


def test_a_kill_between_dead_letter_and_commit_gives_no_second_answer(
    workspace: Mapping[str, str], lanes: Lanes, tmp_path: Path
) -> None:
    cut = cut_of(3)
    lanes.send_bytes(b"no avro", key=f"{cut.job_id}/3".encode())
    with speech_worker(workspace, tmp_path, program=("-c", DIES_BEFORE_ITS_COMMIT)) as worker:
        assert worker.process.wait(ANSWER_TIMEOUT_S) == 9
    with speech_worker(workspace, tmp_path):
        until_all_committed(lanes)
    found = [answer for answer in lanes.read() if answer.job_id == cut.job_id]
    assert {(answer.event_id, answer.index, answer.round) for answer in found} == {
        (found[0].event_id, 3, UNKNOWN_ROUND)
    }
    assert all(isinstance(answer, ChunkFailed) and answer.code == answers.UNDECODABLE for answer in found)


def test_a_kill_of_the_worker_loses_nothing(workspace: Mapping[str, str], lanes: Lanes, tmp_path: Path) -> None:
    cuts = cuts_of(30, "stub:slow=0.02")
    lanes.send(cuts)
    with speech_worker(workspace, tmp_path, INSTANCE_ID="speech-asr") as first:
        until(lanes.read, ANSWER_TIMEOUT_S, "a first answer")
        first.kill()
    with speech_worker(workspace, tmp_path, INSTANCE_ID="speech-asr"):
        found = lanes.answered(cuts)
        until_all_committed(lanes)
    for given in found.values():
        assert {answer.event_id for answer in given} == {given[0].event_id}
        assert {str(answer.passages) for answer in given if isinstance(answer, ChunkTranscribed)} == {
            str(given[0].passages)  # type: ignore[union-attr]
        }


def test_kills_of_the_worker_count_as_tries(workspace: Mapping[str, str], lanes: Lanes, tmp_path: Path) -> None:
    hanging = cut_of(0, "stub:hang")
    lanes.send([hanging])
    for tries in (1, 2):
        with speech_worker(workspace, tmp_path, INSTANCE_ID="speech-asr") as worker:
            until(lambda: lanes.tries(Task.ASR) == tries, ANSWER_TIMEOUT_S, f"{tries} tries")  # noqa: B023
            worker.kill()
    good = cut_of(1)
    lanes.send([good])
    with speech_worker(workspace, tmp_path, INSTANCE_ID="speech-asr", CHUNK_TRIES="2"):
        lanes.answered([hanging, good])
    assert lanes.failure(hanging).tries == 2


def test_sigterm_finishes_the_running_batch(workspace: Mapping[str, str], lanes: Lanes, tmp_path: Path) -> None:
    slow = cut_of(0, "stub:slow=2")
    lanes.send([slow])
    with speech_worker(workspace, tmp_path) as worker:
        until(lambda: lanes.tries(Task.ASR) == 1, ANSWER_TIMEOUT_S, "the batch runs")
        assert worker.stop() == 0
    assert isinstance(lanes.answered([slow])[slow.event_id][0], ChunkTranscribed)
    assert lanes.lag(Task.ASR) == 0


@pytest.mark.slow
def test_sigterm_gives_a_long_batch_up_without_blame(
    workspace: Mapping[str, str], lanes: Lanes, tmp_path: Path
) -> None:
    lanes.send([cut_of(0, "stub:hang")])
    with speech_worker(workspace, tmp_path, BATCH_FLOOR_S="60") as worker:
        until(lambda: lanes.tries(Task.ASR) == 1, ANSWER_TIMEOUT_S, "the batch runs")
        assert worker.stop() == 0
        assert worker.lines("batch.given_up")
    assert (lanes.lag(Task.ASR), lanes.tries(Task.ASR)) == (1, 0)
    assert lanes.read() == []


def test_a_second_worker_starts_nothing_that_runs_already(
    workspace: Mapping[str, str], lanes: Lanes, tmp_path: Path
) -> None:
    cuts = cuts_of(24, "stub:slow=0.5")
    lanes.send(cuts)
    with speech_worker(workspace, tmp_path, BATCH_SIZE="4") as first:
        until(lanes.read, ANSWER_TIMEOUT_S, "a first answer")
        with speech_worker(workspace, tmp_path, BATCH_SIZE="4") as second:
            # Where processes start slowly the first has done all of it by now, and there must be something to share.
            second.wait_for("consumer.assigned")
            later = cuts_of(24, "stub:slow=0.5")
            lanes.send(later)
            cuts = [*cuts, *later]
            second.wait_for("batch.done")
            lanes.answered_once(cuts)
            until_all_committed(lanes)
            done = [sum(line["chunks"] for line in worker.lines("batch.done")) for worker in (first, second)]
            assert sum(done) == len(cuts)
            assert all(done)


def test_a_model_that_cannot_be_loaded_ends_the_worker_with_a_sentence(
    workspace: Mapping[str, str], tmp_path: Path
) -> None:
    with speech_worker(workspace, tmp_path, ASR_ENGINE="whisperx", MODEL_DIR="", MODEL=str(tmp_path)) as worker:
        assert worker.process.wait(120) == 1
        [line] = worker.lines("stop")
        assert line["kind"] == "EngineUnavailable", line
