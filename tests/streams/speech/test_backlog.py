"""The backlog hands out batches whose audio is there, in the lanes' order, and fetches little ahead."""

import threading
from collections.abc import Iterator, Mapping

import pytest

from runtime.kafka import Incoming
from runtime.objects import ObjectStore, SmallObjects
from runtime.settings import Settings
from schemas.topics import lane_topic
from schemas.values import Lane
from streams.speech.audio import AudioFetcher, Missing, Samples
from streams.speech.backlog import AHEAD_BATCHES, GATHER_S, Backlog, Held, samples
from streams.speech.offsets import Place, Position
from tests.deadline import until
from tests.streams.speech.lane import cut_of, flac

TIMEOUT_S = 20.0
BATCH_SIZE = 4


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture(scope="module")
def store(module_workspace: Mapping[str, str]) -> ObjectStore:
    return ObjectStore(Settings.read(module_workspace).objects)


@pytest.fixture
def fetcher(module_workspace: Mapping[str, str]) -> Iterator[AudioFetcher]:
    made = AudioFetcher(SmallObjects(Settings.read(module_workspace).objects), lambda: None)
    yield made
    made.close()


def held(index: int, lane: Lane = Lane.BATCH, tries: int = 0) -> Held:
    cut = cut_of(index, lane=lane)
    topic = lane_topic(lane)
    record = Incoming(
        topic=topic, partition=0, offset=index, key=None, value=None, headers=(), timestamp_ms=1_000 + index
    )
    return Held(incoming=record, position=Position(topic, 0, index), cut=cut, tries=tries)


def stored(store: ObjectStore, *chunks: Held) -> list[Held]:
    for chunk in chunks:
        store.put(chunk.cut.object.key, flac(chunk.cut.index))
    return list(chunks)


def fetched(chunks: list[Held]) -> None:
    until(lambda: all(chunk.ready for chunk in chunks), TIMEOUT_S, "audio fetched")


def indices(batch: list[Held]) -> list[int]:
    return [chunk.cut.index for chunk in batch]


def test_a_batch_is_handed_out_when_its_audio_is_there(store: ObjectStore, fetcher: AudioFetcher) -> None:
    backlog = Backlog(fetcher, BATCH_SIZE)
    chunks = stored(store, *(held(index) for index in range(6)))
    backlog.add(chunks)
    fetched(chunks)
    batch = backlog.next_batch()
    assert indices(batch) == [0, 1, 2, 3]
    assert all(isinstance(samples(chunk), Samples) for chunk in batch)
    assert len(backlog) == 6
    backlog.take(batch)
    assert len(backlog) == 2
    assert indices(backlog.next_batch()) == [4, 5]


def test_only_a_few_batches_are_fetched_ahead(store: ObjectStore, fetcher: AudioFetcher) -> None:
    backlog = Backlog(fetcher, BATCH_SIZE)
    chunks = stored(store, *(held(index) for index in range(30)))
    backlog.add(chunks)
    ahead = AHEAD_BATCHES * BATCH_SIZE
    assert [chunk.audio is not None for chunk in chunks] == [True] * ahead + [False] * (30 - ahead)
    late = stored(store, held(99, Lane.INTERACTIVE))
    backlog.add(late)
    assert late[0].audio is not None


def test_a_moment_is_waited_for_audio_that_is_on_its_way(store: ObjectStore) -> None:
    gate = threading.Event()

    class Slow:
        def get(self, key: str) -> bytes:
            assert key.endswith("00000.flac") or gate.wait(TIMEOUT_S)
            return store.get(key)

        def put(self, key: str, data: bytes) -> None:
            store.put(key, data)

    clock, fetcher = Clock(), AudioFetcher(Slow(), lambda: None)
    backlog = Backlog(fetcher, BATCH_SIZE, clock)
    first, second = stored(store, held(0), held(1))
    backlog.add([first, second])
    fetched([first])
    assert backlog.next_batch() == []
    clock.now_s += GATHER_S * 1.01
    assert backlog.next_batch() == [first]
    gate.set()
    fetched([second])
    assert backlog.next_batch() == [first, second]
    fetcher.close()


def test_a_chunk_whose_audio_turns_out_to_be_missing_is_in_no_batch(store: ObjectStore, fetcher: AudioFetcher) -> None:
    clock = Clock()
    backlog = Backlog(fetcher, BATCH_SIZE, clock)
    missing, [there] = held(0), stored(store, held(1))
    assert backlog.arrived() == []
    backlog.add([missing, there])
    fetched([missing, there])
    assert backlog.next_batch() == []
    clock.now_s += GATHER_S * 1.01
    assert backlog.next_batch() == [there]
    assert missing in backlog.arrived()


def test_arrivals_are_reported_once_missing_audio_too(store: ObjectStore, fetcher: AudioFetcher) -> None:
    backlog = Backlog(fetcher, BATCH_SIZE)
    there, missing = *stored(store, held(0)), held(1)
    backlog.add([there, missing])
    fetched([there, missing])
    found = backlog.arrived()
    assert {chunk.cut.index for chunk in found} == {0, 1}
    assert missing.audio is not None and missing.audio.result() == Missing()
    assert backlog.arrived() == []


def test_a_partition_that_goes_takes_its_chunks_along(store: ObjectStore, fetcher: AudioFetcher) -> None:
    backlog = Backlog(fetcher, BATCH_SIZE)
    mine, theirs = stored(store, held(0), held(1, Lane.INTERACTIVE))
    backlog.add([mine, theirs])
    fetched([mine, theirs])
    backlog.drop({Place("chunks.interactive", 0)})
    assert backlog.next_batch() == [mine]
    assert len(backlog) == 1


def test_chunks_behind_a_cancelled_job_are_fetched_without_a_new_arrival(
    store: ObjectStore, fetcher: AudioFetcher
) -> None:
    backlog = Backlog(fetcher, BATCH_SIZE)
    ahead = AHEAD_BATCHES * BATCH_SIZE
    missing = [held(index) for index in range(100, 100 + ahead)]
    backlog.add([*missing, *(behind := stored(store, held(200), held(201)))])
    fetched(missing)
    for chunk in missing:
        backlog.remove(chunk.position)
    fetched(behind)
    assert backlog.next_batch() == behind


def test_chunks_behind_a_partition_that_goes_are_fetched(store: ObjectStore, fetcher: AudioFetcher) -> None:
    backlog = Backlog(fetcher, BATCH_SIZE)
    ahead = AHEAD_BATCHES * BATCH_SIZE
    theirs = stored(store, *(held(index, Lane.INTERACTIVE) for index in range(ahead * 5)))
    mine = stored(store, *(held(1_000 + index) for index in range(ahead)))
    backlog.add([*theirs, *mine])
    backlog.drop({Place("chunks.interactive", 0)})
    fetched(mine)
    assert backlog.next_batch() == mine[:BATCH_SIZE]


def test_a_suspect_is_handed_out_alone(store: ObjectStore, fetcher: AudioFetcher) -> None:
    backlog = Backlog(fetcher, BATCH_SIZE)
    chunks = stored(store, held(0, tries=1), held(1), held(2))
    backlog.add(chunks)
    fetched(chunks)
    batch = backlog.next_batch()
    assert indices(batch) == [0]
    backlog.take(batch)
    assert indices(backlog.next_batch()) == [1, 2]
