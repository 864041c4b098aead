"""Reading a topic outside any consumer group: what operator commands, proofs and measurements do.

In: a topic's name without prefix. Out: its records, those that are there or those that come.
Commits nothing, so that looking changes nothing.
"""

import time
from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import contextmanager

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from runtime.errors import Unavailable
from runtime.kafka import Incoming, watermarks
from runtime.settings import Kafka

ANSWER_TIMEOUT_S = 30.0
# An archive that waits for a broker is over before its process, asked to end, would be killed.
SILENCE_LIMIT_S = 20.0
_BATCH = 1_000
_POLL_S = 1.0


def read_topic(kafka: Kafka, name: str, only: int | None = None) -> Iterator[Incoming]:
    """Every record now on the topic, or on one partition of it, tombstones included; raises Unavailable."""
    with _consumer(kafka) as consumer:
        ends = _ends(consumer, kafka.topic(name))
        waiting = {number for number, (low, high) in ends.items() if low < high and only in (None, number)}
        consumer.assign([TopicPartition(kafka.topic(name), p, OFFSET_BEGINNING) for p in waiting])
        while waiting:
            for message in _next(consumer):
                partition = message.partition() or 0
                if (error := message.error()) is not None:
                    if error.code() != KafkaError._PARTITION_EOF:
                        raise Unavailable(f"Kafka: {error}")
                    waiting.discard(partition)
                elif (message.offset() or 0) < ends[partition][1]:
                    yield Incoming.of(message, kafka.topic_prefix)


def _next(consumer: Consumer, most: int = _BATCH) -> list[Message]:
    """What comes next, be it the end of a partition; raises Unavailable when the broker says nothing for too long."""
    deadline = time.monotonic() + SILENCE_LIMIT_S
    while time.monotonic() < deadline:
        if messages := consumer.consume(most, _POLL_S):
            return messages
    raise Unavailable(f"Kafka said nothing for {SILENCE_LIMIT_S:.0f} s")


def end_offsets(kafka: Kafka, name: str) -> dict[int, int]:
    """The next offset of each partition."""
    with _consumer(kafka) as consumer:
        return {partition: high for partition, (_, high) in _ends(consumer, kafka.topic(name)).items()}


def follow_topic(kafka: Kafka, name: str) -> Generator[list[Incoming], None, None]:
    """Every record from the first on, as batches arrive; an empty batch every second while there is nothing."""
    with _consumer(kafka) as consumer:
        ends = _ends(consumer, kafka.topic(name))
        consumer.assign([TopicPartition(kafka.topic(name), p, OFFSET_BEGINNING) for p in ends])
        while True:
            first = consumer.poll(_POLL_S)
            # consume(n, t) would wait t for a full batch: so poll first, then take what is already there.
            messages = [first, *consumer.consume(_BATCH, 0)] if first is not None else []
            yield [Incoming.of(message, kafka.topic_prefix) for message in messages if message.error() is None]


def read_from(kafka: Kafka, name: str, partition: int, offset: int) -> Incoming | None:
    """The record at exactly this place, or None; raises Unavailable when the broker says nothing."""
    with _consumer(kafka) as consumer:
        low, high = _ends(consumer, kafka.topic(name)).get(partition, (0, 0))
        if not low <= offset < high:
            return None
        consumer.assign([TopicPartition(kafka.topic(name), partition, offset)])
        [message] = _next(consumer, 1)  # the record, a later one, or the end of the partition
        if (error := message.error()) is not None:
            if error.code() != KafkaError._PARTITION_EOF:
                raise Unavailable(f"Kafka: {error}")
            return None
        return Incoming.of(message, kafka.topic_prefix) if message.offset() == offset else None


def read_span(kafka: Kafka, name: str, partition: int, start: int, end: int) -> list[Incoming]:
    """The records of a partition from offset `start` up to, without, `end`; raises Unavailable."""
    found: list[Incoming] = []
    with _consumer(kafka) as consumer:
        consumer.assign([TopicPartition(kafka.topic(name), partition, start)])
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while time.monotonic() < deadline:
            for message in consumer.consume(_BATCH, _POLL_S):
                if (error := message.error()) is not None:
                    if error.code() != KafkaError._PARTITION_EOF:
                        raise Unavailable(f"Kafka: {error}")
                    return found
                if (message.offset() or 0) >= end:
                    return found
                found.append(Incoming.of(message, kafka.topic_prefix))
            if found and found[-1].offset >= end - 1:
                return found
    raise Unavailable(f"Kafka: {name}/{partition} could not be read in {ANSWER_TIMEOUT_S:.0f} s")


class Onwards:
    """A topic from given places on; `places` says how far it was read, also over offsets that hold nothing any more.

    A place beyond the end is one of a log whose end was lost: what stands there now is read from the first record on.
    """

    def __init__(self, consumer: Consumer, kafka: Kafka, topic: str, starts: Mapping[int, int]) -> None:
        self._consumer = consumer
        self._kafka = kafka
        self._topic = topic
        self.places = {
            partition: low if starts[partition] > high else max(low, starts[partition])
            for partition, (low, high) in _ends(consumer, topic).items()
            if partition in starts
        }
        consumer.assign([TopicPartition(self._topic, p, place) for p, place in self.places.items()])

    def ends(self) -> dict[int, int]:
        """Next offset of each partition, as the broker says now; raises Unavailable."""
        return {partition: high for partition, (_, high) in _ends(self._consumer, self._topic).items()}

    def read(self, limit: int, timeout_s: float) -> list[Incoming]:
        """What comes next, at most so many; nothing when nothing came in time. Raises Unavailable."""
        first = self._consumer.poll(timeout_s)
        # consume(n, t) would wait t for a full batch: so poll first, then take what is already there.
        messages = [first, *self._consumer.consume(limit - 1, 0)] if first is not None else []
        found = []
        for message in messages:
            partition, offset = message.partition() or 0, message.offset() or 0
            if (error := message.error()) is None:
                found.append(Incoming.of(message, self._kafka.topic_prefix))
                self.places[partition] = offset + 1
            elif error.code() != KafkaError._PARTITION_EOF:
                raise Unavailable(f"Kafka: {error}")
            else:
                self.places[partition] = max(self.places[partition], offset)
        return found


@contextmanager
def read_onwards(
    kafka: Kafka, name: str, starts: Mapping[int, int], only: Collection[int] | None = None
) -> Iterator[Onwards]:
    """Reads a topic, or `only` some partitions, from next offsets, else from the first record; raises Unavailable."""
    wanted = range(kafka.partitions) if only is None else only
    with _consumer(kafka) as consumer:
        yield Onwards(consumer, kafka, kafka.topic(name), {partition: starts.get(partition, 0) for partition in wanted})


@contextmanager
def _consumer(kafka: Kafka) -> Iterator[Consumer]:
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap,
            # librdkafka demands a group even where nothing is committed.
            "group.id": kafka.group("reader"),
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 50,
        }
    )
    try:
        yield consumer
    except KafkaException as error:
        raise Unavailable(f"Kafka: {error}") from error
    finally:
        consumer.close()


def _ends(consumer: Consumer, topic: str) -> dict[int, tuple[int, int]]:
    """First and next offset of each partition."""
    found = consumer.list_topics(topic, timeout=ANSWER_TIMEOUT_S).topics[topic]
    if found.error is not None:
        raise Unavailable(f"Kafka: {topic}: {found.error}")
    return {
        partition: watermarks(consumer, TopicPartition(topic, partition), ANSWER_TIMEOUT_S)
        for partition in found.partitions
    }
