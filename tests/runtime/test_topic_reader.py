"""Reading a topic outside any group, on a real broker."""

from collections.abc import Mapping
from contextlib import closing

import pytest
from confluent_kafka import Consumer, Producer

from runtime import topic_reader
from runtime.errors import Unavailable
from runtime.kafka import EventProducer, Outgoing
from runtime.settings import Kafka, Settings
from runtime.topic_reader import follow_topic, read_from, read_topic
from schemas.topics import DEAD_LETTERS


def _send(settings: Settings, *values: bytes | None) -> None:
    producer = EventProducer(settings.kafka)
    for i, value in enumerate(values):
        producer.send(Outgoing(topic=DEAD_LETTERS, partition=i % 2, key=f"{i}".encode(), value=value))
    producer.flush()


def test_every_record_is_read_once_and_tombstones_too(workspace: Mapping[str, str]) -> None:
    settings = Settings.read(workspace)
    _send(settings, b"a", b"b", None, b"d")
    found = {record.key: record.value for record in read_topic(settings.kafka, DEAD_LETTERS)}
    assert found == {b"0": b"a", b"1": b"b", b"2": None, b"3": b"d"}


def test_an_empty_topic_ends_at_once(workspace: Mapping[str, str]) -> None:
    assert list(read_topic(Settings.read(workspace).kafka, DEAD_LETTERS)) == []


def _mortal(records: int) -> tuple[Producer, Kafka]:
    """A broker of librdkafka's own: it hands out one batch of a partition at a time and dies with its producer."""
    broker = Producer({"test.mock.num.brokers": 1, "test.mock.broker.rtt": 300})
    for i in range(records):
        broker.produce("letters", f"{i}", partition=0)
        broker.flush()
    (place,) = broker.list_topics().brokers.values()
    return broker, Kafka(bootstrap=f"{place.host}:{place.port}", topic_prefix="", partitions=4, replication=1)


def test_a_broker_that_dies_meanwhile_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topic_reader, "SILENCE_LIMIT_S", 2.0)
    broker, kafka = _mortal(9)
    records = read_topic(kafka, "letters")
    assert next(records).value == b"0"
    del broker
    with pytest.raises(Unavailable, match="said nothing"):
        list(records)


def test_a_broker_that_says_nothing_has_not_said_that_there_is_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topic_reader, "SILENCE_LIMIT_S", 2.0)
    broker, kafka = _mortal(1)
    ends = topic_reader._ends

    def dies(consumer: Consumer, topic: str) -> dict[int, tuple[int, int]]:
        nonlocal broker
        found = ends(consumer, topic)
        del broker
        return found

    monkeypatch.setattr(topic_reader, "_ends", dies)
    with pytest.raises(Unavailable, match="said nothing"):
        read_from(kafka, "letters", 0, 0)


def test_a_place_has_one_record_or_none(workspace: Mapping[str, str]) -> None:
    settings = Settings.read(workspace)
    _send(settings, b"a", b"b", b"c")
    found = read_from(settings.kafka, DEAD_LETTERS, 0, 1)
    assert found is not None
    assert (found.topic, found.partition, found.offset, found.value) == (DEAD_LETTERS, 0, 1, b"c")
    assert read_from(settings.kafka, DEAD_LETTERS, 0, 2) is None
    assert read_from(settings.kafka, DEAD_LETTERS, 9, 0) is None


def test_following_hears_what_is_there_and_what_comes(workspace: Mapping[str, str]) -> None:
    settings = Settings.read(workspace)
    _send(settings, b"a", b"b")
    seen: list[bytes | None] = []
    waiting = [b"c"]
    with closing(follow_topic(settings.kafka, DEAD_LETTERS)) as batches:
        for batch in batches:
            seen += [record.value for record in batch]
            if len(seen) == 2 and waiting:
                _send(settings, waiting.pop())
            if len(seen) == 3:
                break
    assert sorted(value or b"" for value in seen) == [b"a", b"b", b"c"]
