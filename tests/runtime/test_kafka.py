"""Topics and producers on a real broker."""

import dataclasses
from collections.abc import Mapping

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition

from runtime.errors import Unavailable
from runtime.kafka import (
    AsyncEventProducer,
    EventProducer,
    Incoming,
    Outgoing,
    TopicMismatch,
    apply_topics,
    consumer_config,
    dead_letter,
    is_fatal,
    topic_settings,
)
from runtime.settings import Kafka, Settings
from schemas.topics import BY_NAME, CONTROLS, TRANSCRIPTS

READ_TIMEOUT_S = 20.0


@pytest.fixture
def kafka(workspace: Mapping[str, str]) -> Kafka:
    return Settings.read(workspace).kafka


def _read(kafka: Kafka, topic: str, count: int) -> list[Incoming]:
    consumer = Consumer(consumer_config(kafka, "reader"))
    consumer.assign([TopicPartition(kafka.topic(topic), p, 0) for p in range(kafka.partitions)])
    messages = consumer.consume(count, READ_TIMEOUT_S)
    consumer.close()
    return [Incoming.of(message, kafka.topic_prefix) for message in messages]


def test_applying_topics_again_creates_nothing(kafka: Kafka) -> None:
    assert apply_topics(kafka) == []


def test_topics_have_the_tables_settings(kafka: Kafka) -> None:
    found = topic_settings(kafka, TRANSCRIPTS)
    assert found["cleanup.policy"] == "compact"
    assert found["message.timestamp.type"] == BY_NAME[TRANSCRIPTS].config["message.timestamp.type"]


def test_another_number_of_partitions_is_refused(kafka: Kafka) -> None:
    with pytest.raises(TopicMismatch, match="partitions"):
        apply_topics(dataclasses.replace(kafka, partitions=kafka.partitions + 1))


def test_records_go_where_they_are_told(kafka: Kafka) -> None:
    producer = EventProducer(kafka)
    sent = [
        Outgoing(topic=CONTROLS, partition=i % 2, key=b"same", value=b"%d" % i, headers=(("a", b"b"),))
        for i in range(6)
    ]
    for out in sent:
        producer.send(out)
    producer.flush()
    got = _read(kafka, CONTROLS, 6)
    assert {(r.partition, r.value) for r in got} == {(out.partition, out.value) for out in sent}
    assert got[0].headers == (("a", b"b"),)


async def test_the_async_producer_waits_for_the_broker(kafka: Kafka) -> None:
    producer = AsyncEventProducer(kafka)
    await producer.start()
    assert await producer.reachable()
    await producer.send(Outgoing(topic=CONTROLS, partition=1, key=b"k", value=None))
    await producer.stop()
    (record,) = _read(kafka, CONTROLS, 1)
    assert (record.partition, record.key, record.value) == (1, b"k", None)


async def test_a_broker_that_is_away_is_unavailable(kafka: Kafka) -> None:
    producer = AsyncEventProducer(dataclasses.replace(kafka, bootstrap="127.0.0.1:9"))
    with pytest.raises(Unavailable):
        await producer.start()
    await producer.stop()


def test_a_dead_letter_keeps_bytes_key_and_headers() -> None:
    incoming = Incoming(
        topic=CONTROLS, partition=1, offset=7, key=b"k", value=b"\xff", headers=(("h", b"v"),), timestamp_ms=0
    )
    letter = dead_letter(incoming, "assembler", "UndecodableRecord", "no frame", tries=1)
    assert (letter.key, letter.value, letter.headers[0]) == (b"k", b"\xff", ("h", b"v"))
    headers = dict(letter.headers)
    assert headers["__dlq.errors.topic"] == b"controls"
    assert headers["__dlq.errors.offset"] == b"7"


def test_an_error_that_comes_as_a_message_is_fatal_by_its_code() -> None:
    """A fenced member got it so, took it for a passing trouble and waited for ever."""
    assert is_fatal(KafkaError(KafkaError._FATAL))
    assert is_fatal(KafkaError(KafkaError._FENCED, "fenced", True))
    assert not is_fatal(KafkaError(KafkaError._TRANSPORT))
