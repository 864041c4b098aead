"""How far consumer groups have come: since when the oldest record that a group has not done waits.

In: a group's name and its topics. Out: times by partition, for those partitions where something waits.
Joins no group and commits nothing. Knows no record's meaning.
"""

import time
from collections.abc import Sequence
from contextlib import closing

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaException, TopicPartition

from runtime.errors import Unavailable
from runtime.kafka import Place, consumer_config, watermarks
from runtime.settings import Kafka

ANSWER_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 30.0


def waiting_since(kafka: Kafka, group: str, topics: Sequence[str]) -> dict[Place, int]:
    """When the oldest record that the group has not done was written, ms, by place; raises Unavailable."""
    try:
        with closing(Consumer(consumer_config(kafka, group))) as consumer:
            return _oldest(consumer, kafka, _behind(consumer, kafka, topics))
    except KafkaException as error:
        raise Unavailable(f"Kafka: {error}") from error


def _behind(consumer: Consumer, kafka: Kafka, topics: Sequence[str]) -> list[TopicPartition]:
    """Partitions with something to do, each at the first record of it."""
    all_of_them = [TopicPartition(kafka.topic(topic), n) for topic in topics for n in range(kafka.partitions)]
    found = []
    for committed in consumer.committed(all_of_them, timeout=ANSWER_TIMEOUT_S):
        low, high = watermarks(consumer, committed, ANSWER_TIMEOUT_S)
        following = low if committed.offset == OFFSET_INVALID else max(low, committed.offset)
        if following < high:
            found.append(TopicPartition(committed.topic, committed.partition, following))
    return found


def _oldest(consumer: Consumer, kafka: Kafka, places: list[TopicPartition]) -> dict[Place, int]:
    found: dict[Place, int] = {}
    if not places:
        return found
    consumer.assign(places)
    deadline = time.monotonic() + READ_TIMEOUT_S
    while len(found) < len(places):
        if time.monotonic() > deadline:
            raise Unavailable("Kafka: records that wait were not read in time")
        message = consumer.poll(1.0)
        if message is None:
            continue
        if (error := message.error()) is not None:
            raise Unavailable(f"Kafka: {error}")
        place = ((message.topic() or "").removeprefix(kafka.topic_prefix), message.partition() or 0)
        if place not in found:
            found[place] = message.timestamp()[1]
            consumer.pause([TopicPartition(message.topic() or "", place[1])])
    return found
