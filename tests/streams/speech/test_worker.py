"""A speech worker as a process on real engines: one answer for every chunk, whatever happens to it or to us."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.evidence import unpack
from schemas.records import ChunkCut, ChunkDiarized, ChunkFailed, ChunkTranscribed
from schemas.values import Lane, Task
from streams.speech import answers
from streams.speech.tries import decode
from tests.deadline import until
from tests.streams.speech.lane import ANSWER_TIMEOUT_S, Answer, Lanes, cut_of, cuts_of, flac, speech_worker, with_round


@pytest.fixture
def lanes(workspace: Mapping[str, str]) -> Iterator[Lanes]:
    made = Lanes(workspace)
    yield made
    made.close()


def one_each(found: Mapping[str, list[Answer]]) -> dict[str, Answer]:
    assert all(len(given) == 1 for given in found.values()), {key: len(given) for key, given in found.items()}
    return {key: given[0] for key, given in found.items()}


def failure(lanes: Lanes, cut: ChunkCut) -> ChunkFailed:
    [found] = lanes.answered([cut])[cut.event_id]
    assert isinstance(found, ChunkFailed)
    return found


def until_all_committed(lanes: Lanes, task: Task) -> None:
    until(lambda: lanes.lag(task) == 0, ANSWER_TIMEOUT_S, "everything committed")


def test_both_roles_answer_every_chunk(workspace: Mapping[str, str], lanes: Lanes, tmp_path: Path) -> None:
    cuts = cuts_of(20) + cuts_of(20, lane=Lane.INTERACTIVE)
    lanes.send(cuts)
    with speech_worker(workspace, tmp_path, Task.ASR) as asr:
        words = one_each(lanes.answered(cuts))
        status, body = asr.health()
        assert (status, body["role"], body["engine"], body["device"]) == (200, "asr", "stub", "cpu")
        until_all_committed(lanes, Task.ASR)
        assert asr.stop() == 0
    for cut in cuts:
        answer = words[cut.event_id]
        assert isinstance(answer, ChunkTranscribed)
        assert (answer.index, answer.job_id, answer.chunk_sha256) == (cut.index, cut.job_id, cut.object.sha256)
        assert cut.start_ms <= answer.passages[0].words[0].start_ms < cut.end_ms  # type: ignore[operator]
    lanes.answers.clear()
    with speech_worker(workspace, tmp_path, Task.DIARIZATION):
        for answer in one_each(lanes.answered(cuts)).values():
            assert isinstance(answer, ChunkDiarized)
            stored = lanes.store.get(answer.evidence.key)
            assert len(stored) == answer.evidence.size_bytes
            assert unpack(stored).activity.any()


def test_work_of_the_other_role_is_left_to_it(workspace: Mapping[str, str], lanes: Lanes, tmp_path: Path) -> None:
    both, other = cut_of(0), replace(cut_of(1), tasks=(Task.DIARIZATION,))
    lanes.send([other, both])
    with speech_worker(workspace, tmp_path):
        lanes.answered([both])
        until_all_committed(lanes, Task.ASR)
    assert {answer.cause_id for answer in lanes.read()} == {both.event_id}


def test_audio_that_is_missing_or_damaged_is_answered(
    workspace: Mapping[str, str], lanes: Lanes, tmp_path: Path
) -> None:
    missing, damaged, other, good = (cut_of(index) for index in range(4))
    lanes.send([missing], stored=False)
    lanes.send([damaged, other, good])
    lanes.store.put(damaged.object.key, b"no sound")
    lanes.store.put(other.object.key, flac(99))
    with speech_worker(workspace, tmp_path):
        lanes.answered([missing, damaged, other, good])
    codes = {cut.index: failure(lanes, cut).code for cut in (missing, damaged, other)}
    assert codes == {0: answers.OBJECT_MISSING, 1: answers.OBJECT_DAMAGED, 2: answers.OBJECT_DAMAGED}
    assert not failure(lanes, missing).retryable
    assert isinstance(lanes.answered([good])[good.event_id][0], ChunkTranscribed)


def test_what_is_no_chunk_goes_to_the_dead_letters(workspace: Mapping[str, str], lanes: Lanes, tmp_path: Path) -> None:
    lanes.send_bytes(b"no avro")
    lanes.send_bytes(None)
    cut = cut_of(0)
    lanes.send([cut])
    with speech_worker(workspace, tmp_path):
        lanes.answered([cut])
        dead = lanes.dead_letters(2)
        until_all_committed(lanes, Task.ASR)
    assert {letter["value"] for letter in dead} == {b"no avro", b""}
    assert all(letter["__dlq.errors.topic"] == b"chunks.batch" for letter in dead)


def test_a_chunk_the_model_refuses_fails_alone_and_may_be_retried(
    workspace: Mapping[str, str], lanes: Lanes, tmp_path: Path
) -> None:
    bad, good = cut_of(0, "stub:fail-round=0"), cut_of(1)
    again = with_round(bad, 1)
    lanes.send([bad, good, again])
    with speech_worker(workspace, tmp_path):
        found = one_each(lanes.answered([bad, good, again]))
    assert failure(lanes, bad).code == "stub_failed"
    assert failure(lanes, bad).tries == 1
    assert isinstance(found[good.event_id], ChunkTranscribed)
    assert isinstance(found[again.event_id], ChunkTranscribed)


def test_a_chunk_that_kills_the_model_fails_in_the_end_and_the_others_do_not(
    workspace: Mapping[str, str], lanes: Lanes, tmp_path: Path
) -> None:
    cuts = [cut_of(index, *(["stub:crash"] if index == 3 else [])) for index in range(10)]
    lanes.send(cuts)
    with speech_worker(workspace, tmp_path, BATCH_SIZE="8") as worker:
        found = one_each(lanes.answered(cuts))
        [dead] = lanes.dead_letters(1)
        until_all_committed(lanes, Task.ASR)
        assert len(worker.lines("child.died")) == 3
        assert worker.stop() == 0
    bad = failure(lanes, cuts[3])
    assert (bad.code, bad.tries, bad.retryable, bad.task) == (answers.ENGINE_CRASHED, 3, True, Task.ASR)
    assert dead["__dlq.errors.attempts"] == b"3"
    assert sum(isinstance(answer, ChunkTranscribed) for answer in found.values()) == 9
    assert all(not metadata for _, metadata in lanes.committed(Task.ASR).values())


def test_a_batch_that_never_ends_is_ended(workspace: Mapping[str, str], lanes: Lanes, tmp_path: Path) -> None:
    hanging, good = cut_of(0, "stub:hang"), cut_of(1)
    lanes.send([hanging, good])
    with speech_worker(workspace, tmp_path, BATCH_TIMEOUT_S="1", CHUNK_TRIES="2"):
        found = one_each(lanes.answered([hanging, good]))
    assert isinstance(found[good.event_id], ChunkTranscribed)
    assert failure(lanes, hanging).code == answers.ENGINE_TIMEOUT


def test_a_kill_of_the_worker_loses_nothing(workspace: Mapping[str, str], lanes: Lanes, tmp_path: Path) -> None:
    cuts = cuts_of(30, "stub:slow=0.02")
    lanes.send(cuts)
    with speech_worker(workspace, tmp_path, INSTANCE_ID="speech-asr") as first:
        until(lanes.read, ANSWER_TIMEOUT_S, "a first answer")
        first.kill()
    with speech_worker(workspace, tmp_path, INSTANCE_ID="speech-asr"):
        found = lanes.answered(cuts)
        until_all_committed(lanes, Task.ASR)
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
            until(lambda: _tries(lanes) == tries, ANSWER_TIMEOUT_S, f"{tries} tries")  # noqa: B023
            worker.kill()
    good = cut_of(1)
    lanes.send([good])
    with speech_worker(workspace, tmp_path, INSTANCE_ID="speech-asr", CHUNK_TRIES="2"):
        lanes.answered([hanging, good])
    assert failure(lanes, hanging).tries == 2


def _tries(lanes: Lanes) -> int:
    counts = [decode(metadata, offset) for offset, metadata in lanes.committed(Task.ASR).values() if offset >= 0]
    return sum(sum(count.values()) for count in counts)


def test_sigterm_finishes_the_running_batch(workspace: Mapping[str, str], lanes: Lanes, tmp_path: Path) -> None:
    slow = cut_of(0, "stub:slow=2")
    lanes.send([slow])
    with speech_worker(workspace, tmp_path) as worker:
        until(lambda: _tries(lanes) == 1, ANSWER_TIMEOUT_S, "the batch runs")
        assert worker.stop() == 0
    assert isinstance(lanes.answered([slow])[slow.event_id][0], ChunkTranscribed)
    assert lanes.lag(Task.ASR) == 0


@pytest.mark.slow
def test_sigterm_gives_a_long_batch_up_without_blame(
    workspace: Mapping[str, str], lanes: Lanes, tmp_path: Path
) -> None:
    lanes.send([cut_of(0, "stub:hang")])
    with speech_worker(workspace, tmp_path) as worker:
        until(lambda: _tries(lanes) == 1, ANSWER_TIMEOUT_S, "the batch runs")
        assert worker.stop() == 0
        assert worker.lines("batch.given_up")
    assert (lanes.lag(Task.ASR), _tries(lanes)) == (1, 0)
    assert lanes.read() == []


def test_a_second_worker_starts_nothing_that_runs_already(
    workspace: Mapping[str, str], lanes: Lanes, tmp_path: Path
) -> None:
    cuts = cuts_of(24, "stub:slow=0.5")
    lanes.send(cuts)
    with speech_worker(workspace, tmp_path, BATCH_SIZE="4") as first:
        until(lanes.read, ANSWER_TIMEOUT_S, "a first answer")
        with speech_worker(workspace, tmp_path, BATCH_SIZE="4") as second:
            second.wait_for("batch.done")
            one_each(lanes.answered(cuts))
            until_all_committed(lanes, Task.ASR)
            done = [sum(line["chunks"] for line in worker.lines("batch.done")) for worker in (first, second)]
            assert sum(done) == len(cuts)
            assert all(done)


def test_interactive_chunks_go_four_to_one_before_waiting_batch_chunks(
    workspace: Mapping[str, str], lanes: Lanes, tmp_path: Path
) -> None:
    blocker = cut_of(0, "stub:slow=3")
    lanes.send([blocker])
    with speech_worker(workspace, tmp_path, BATCH_SIZE="1"):
        until(lambda: _tries(lanes) == 1, ANSWER_TIMEOUT_S, "the first chunk runs")
        slow, quick = cuts_of(10, "stub:slow=0.02"), cuts_of(12, "stub:slow=0.02", lane=Lane.INTERACTIVE)
        lanes.send(slow)
        lanes.send(quick)
        lanes.answered([blocker, *slow, *quick])
    lane_of = {cut.event_id: cut.lane for cut in (*slow, *quick)}
    order = [lane_of[answer.cause_id] for answer in sorted(lanes.answers, key=_moment) if answer.cause_id in lane_of]
    last_interactive = max(number for number, lane in enumerate(order) if lane is Lane.INTERACTIVE)
    assert [order[: last_interactive + 1].count(lane) for lane in (Lane.INTERACTIVE, Lane.BATCH)] in ([12, 2], [12, 3])


def _moment(answer: Answer) -> int:
    return answer.occurred_at


def test_settings_that_make_no_sense_are_named(workspace: Mapping[str, str], tmp_path: Path) -> None:
    with speech_worker(workspace, tmp_path, ASR_ENGINE="bogus") as worker:
        assert worker.process.wait(30) == 2
        assert "bogus" in worker.log.read_text()


def test_a_model_that_cannot_be_loaded_ends_the_worker_with_a_sentence(
    workspace: Mapping[str, str], tmp_path: Path
) -> None:
    with speech_worker(workspace, tmp_path, ASR_ENGINE="whisperx", MODEL_DIR="", MODEL=str(tmp_path)) as worker:
        assert worker.process.wait(120) == 1
        [line] = worker.lines("stop")
        assert line["kind"] == "EngineUnavailable", json.dumps(line)


def test_health_says_unready_until_the_model_is_loaded(workspace: Mapping[str, str], tmp_path: Path) -> None:
    with speech_worker(workspace, tmp_path) as worker:
        states = []

        def ready() -> bool:
            states.append(worker.health()[0])
            return states[-1] == 200

        until(ready, ANSWER_TIMEOUT_S, "ready")
        assert worker.lines("model.loaded")
        assert set(states) <= {200, 503}
