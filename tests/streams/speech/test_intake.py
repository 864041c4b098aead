"""The intake on a real broker: a partition that was full when it was taken away is read when it comes back."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from runtime.kafka import SESSION_TIMEOUT_MS, EventProducer, Incoming, Outgoing
from runtime.settings import Settings
from schemas.topics import CHUNKS_BATCH
from streams.speech.intake import Intake, Reader
from streams.speech.offsets import Place
from tests.deadline import until

TIMEOUT_S = 60.0
HOLD = 4
POLL_LIMIT_S = SESSION_TIMEOUT_MS // 1000
PLACES = [Place(CHUNKS_BATCH, number) for number in (0, 1)]


class Giver:
    """An owner that remembers which partitions it had to let go."""

    def __init__(self) -> None:
        self.gone: list[tuple[frozenset[Place], bool]] = []

    def let_go(self, places: frozenset[Place], lost: bool) -> None:
        self.gone.append((places, lost))


class Member:
    """An intake that answers nothing, so that what it reads stays open."""

    def __init__(self, settings: Settings) -> None:
        self.owner = Giver()
        self.read: list[Incoming] = []
        reader = Reader(group="member", topics=(CHUNKS_BATCH,), instance_id="", hold=HOLD, max_poll_s=POLL_LIMIT_S)
        self.intake = Intake(settings.kafka, reader)
        self.intake.subscribe(self.owner)

    def poll(self) -> list[Incoming]:
        self.read += self.intake.poll(0.05)
        return self.read

    def owns(self) -> int:
        self.poll()
        return sum(self.intake.owns(place) for place in PLACES)


@pytest.fixture
def settings(workspace: Mapping[str, str]) -> Settings:
    return Settings.read(workspace)


@contextmanager
def member(settings: Settings) -> Iterator[Member]:
    made = Member(settings)
    try:
        yield made
    finally:
        made.intake.close()


def send(settings: Settings, value: bytes) -> None:
    producer = EventProducer(settings.kafka)
    for place in PLACES:
        for _ in range(HOLD):
            producer.send(Outgoing(topic=place.topic, partition=place.partition, key=b"key", value=value))
    producer.flush()


def full(settings: Settings, one: Member) -> None:
    """Both partitions hold as many records as they may, so they are paused."""
    send(settings, b"before")
    until(lambda: one.owns() == len(PLACES) and len(one.read) == 2 * HOLD, TIMEOUT_S, "all records")
    send(settings, b"behind")
    one.poll()
    assert len(one.read) == 2 * HOLD
    one.read.clear()


def test_a_full_partition_that_another_member_had_for_a_while_is_read_again(settings: Settings) -> None:
    with member(settings) as one:
        full(settings, one)
        with member(settings) as other:
            until(lambda: not one.poll() and other.owns(), TIMEOUT_S, "a share")
        [(gone, lost)] = one.owner.gone
        assert not lost
        until(lambda: one.owns() == len(PLACES), TIMEOUT_S, "the partition back")
        until(lambda: len(one.poll()) >= HOLD, TIMEOUT_S, "its records")
        assert {Place(record.topic, record.partition) for record in one.read} == gone
        assert one.read[0].offset == 0


def test_full_partitions_that_were_lost_are_read_again(settings: Settings) -> None:
    with member(settings) as one:
        full(settings, one)
        time.sleep(POLL_LIMIT_S + 2)  # the client itself leaves the group for somebody who does not poll
        until(lambda: not one.poll() and one.owner.gone, TIMEOUT_S, "the loss")
        assert one.owner.gone == [(frozenset(PLACES), True)]
        until(lambda: one.owns() == len(PLACES) and len(one.read) >= 2 * HOLD, TIMEOUT_S, "the records")
