"""The model's process: answers batches, and whatever ends it is seen at once."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from schemas.evidence import unpack
from schemas.values import Task, TranscriptionOptions
from streams.speech.engines.protocol import ChunkError, EngineUnavailable, Transcription
from streams.speech.engines.stub import CRASH_STATUS
from streams.speech.messages import Batch, Chunk, Done, Evidence
from streams.speech.model import ChildDied, Model
from tests.contracts.test_engines import speech_settings
from tests.deadline import until

TIMEOUT_S = 30.0
STUBS = speech_settings("stub", "stub")


def batch(*vocabularies: str) -> Batch:
    pcm = np.arange(16_000, dtype=np.int16)
    return Batch(
        chunks=tuple(
            Chunk(
                pcm=pcm,
                object_start_ms=0,
                start_ms=0,
                end_ms=1_000,
                options=TranscriptionOptions(vocabulary=(term,)),
                round=0,
            )
            for term in vocabularies
        )
    )


@pytest.fixture(params=list(Task))
def model(request: pytest.FixtureRequest) -> Iterator[Model]:
    made = Model(request.param, STUBS, "warning", lambda: None)
    assert made.start().result(TIMEOUT_S).info.engine == "stub"
    yield made
    made.close()


def outcomes(done: Future[Done]) -> list[type]:
    return [type(outcome) for outcome in done.result(TIMEOUT_S).outcomes]


def test_batches_are_answered_in_order(model: Model) -> None:
    expected = outcomes(model.run(batch("a")))[0]
    assert expected in (Transcription, Evidence)
    assert outcomes(model.run(batch("a", "stub:fail", "b"))) == [expected, ChunkError, expected]
    assert outcomes(model.run(batch())) == []


def test_a_crash_is_seen_and_a_fresh_process_goes_on(model: Model) -> None:
    with pytest.raises(ChildDied, match=str(CRASH_STATUS)):
        model.run(batch("a", "stub:crash")).result(TIMEOUT_S)
    model.close()
    model.start().result(TIMEOUT_S)
    assert len(outcomes(model.run(batch("a")))) == 1


def test_a_process_that_hangs_can_be_ended(model: Model) -> None:
    hanging = model.run(batch("stub:hang"))
    model.kill()
    with pytest.raises(ChildDied):
        hanging.result(TIMEOUT_S)


def test_a_signal_to_stop_does_not_end_a_batch(model: Model) -> None:
    running = model.run(batch("stub:slow=0.3"))
    os.kill(model.pid, signal.SIGTERM)
    os.kill(model.pid, signal.SIGINT)
    assert len(outcomes(running)) == 1


def test_evidence_comes_as_the_bytes_of_its_object() -> None:
    model = Model(Task.DIARIZATION, STUBS, "warning", lambda: None)
    model.start().result(TIMEOUT_S)
    [found] = model.run(batch("a")).result(TIMEOUT_S).outcomes
    model.close()
    assert isinstance(found, Evidence)
    assert unpack(found.data).activity.any()


def test_an_engine_that_cannot_run_says_why(tmp_path: Path) -> None:
    settings = replace(STUBS, asr_engine="whisperx", model=str(tmp_path / "nothing"), model_dir=str(tmp_path))
    model = Model(Task.ASR, settings, "warning", lambda: None)
    with pytest.raises(EngineUnavailable, match=r"\w"):
        model.start().result(TIMEOUT_S * 2)
    model.close()


def test_waiting_callers_are_woken() -> None:
    woken = threading.Event()
    model = Model(Task.ASR, STUBS, "warning", woken.set)
    model.start()
    assert woken.wait(TIMEOUT_S)
    model.close()


PARENT = """
import sys
from schemas.values import Task
from streams.speech.model import Model
from tests.streams.speech.test_model import STUBS, batch
model = Model(Task.ASR, STUBS, "warning", lambda: None)
model.start().result(30)
busy = model.run(batch("stub:hang"))
print(model.pid, flush=True)
sys.stdin.read()
"""


def test_the_child_dies_with_its_parent_in_the_middle_of_a_batch() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert Path(f"/proc/{child}").exists()
        parent.kill()
        until(lambda: not _alive(child), TIMEOUT_S, "the child's end")


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
