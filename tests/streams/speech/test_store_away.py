"""A speech worker whose object store refuses: it ends, and no chunk is blamed for that."""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.objects import SmallObjects
from runtime.settings import Settings
from schemas.records import ChunkDiarized
from schemas.values import StoredObject, Task
from streams.speech.audio import THREADS, AudioFetcher
from tests.deadline import until
from tests.streams.speech.lane import ANSWER_TIMEOUT_S, Lanes, cut_of, speech_worker

IMPATIENT = """
import sys
from streams.speech import audio
from streams.speech.worker import main
audio.AWAY_LIMIT_S = 0.5
sys.exit(main())
"""
# The worst case of one: whoever was tried once without an answer is answered as failed.
ONE_TRY = {"CHUNK_TRIES": "1", "INSTANCE_ID": "speech"}


@pytest.fixture
def lanes(workspace: Mapping[str, str]) -> Iterator[Lanes]:
    made = Lanes(workspace)
    yield made
    made.close()


def test_evidence_that_the_store_refuses_costs_its_chunk_no_try(
    workspace: Mapping[str, str], lanes: Lanes, tmp_path: Path
) -> None:
    cut = cut_of(0)
    # A file in the place of the folder: the store gives, and refuses what is put beneath.
    blocked = f"{cut.tenant_id}/{cut.job_id}/evidence"
    lanes.store.put(blocked, b"")
    lanes.send([cut])
    with speech_worker(workspace, tmp_path, Task.DIARIZATION, program=("-c", IMPATIENT), **ONE_TRY) as worker:
        assert worker.process.wait(ANSWER_TIMEOUT_S) == 1
        assert [line["kind"] for line in worker.lines("stop")] == ["StoreAway"]
    assert (lanes.lag(Task.DIARIZATION), lanes.tries(Task.DIARIZATION)) == (1, 0)
    lanes.store.delete([blocked])
    with speech_worker(workspace, tmp_path, Task.DIARIZATION, **ONE_TRY):
        found = lanes.answered_once([cut])
    assert isinstance(found[cut.event_id], ChunkDiarized)


def test_audio_that_the_store_refuses_costs_the_running_batch_no_try(
    workspace: Mapping[str, str], lanes: Lanes, tmp_path: Path
) -> None:
    hanging, cut = cut_of(0, "stub:hang"), cut_of(1)
    # The store refuses such a key.
    refused = replace(cut, object=replace(cut.object, key="tenant/../audio"))
    lanes.send([hanging])
    with speech_worker(workspace, tmp_path, program=("-c", IMPATIENT), BATCH_FLOOR_S="60") as worker:
        until(lambda: lanes.tries(Task.ASR) == 1, ANSWER_TIMEOUT_S, "the batch runs")
        lanes.send([refused], stored=False)
        assert worker.process.wait(ANSWER_TIMEOUT_S) == 1
        assert worker.lines("batch.given_up")
    assert lanes.tries(Task.ASR) == 0


class Stuck(SmallObjects):
    """Gives nothing until it is told to."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.objects)
        self.free = threading.Event()

    def get(self, key: str) -> bytes:
        self.free.wait(ANSWER_TIMEOUT_S)
        return super().get(key)


def test_what_is_stored_waits_for_no_fetch(workspace: Mapping[str, str]) -> None:
    store = Stuck(Settings.read(workspace))
    fetcher = AudioFetcher(store, lambda: None)
    fetches = [fetcher.fetch(StoredObject(key="a", size_bytes=1, sha256="")) for _ in range(2 * THREADS)]
    fetcher.keep("a", b"x").result(10)
    assert not any(fetch.done() for fetch in fetches)
    store.free.set()
    fetcher.close()
