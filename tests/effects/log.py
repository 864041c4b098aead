"""Reading a topic back, record by record."""

from contextlib import closing

from confluent_kafka import Consumer, Message, TopicPartition

from runtime.settings import Kafka

TIMEOUT_S = 10


def messages(kafka: Kafka, topic: str) -> list[Message]:
    """Everything on a topic, partition by partition."""
    found = []
    config = {"bootstrap.servers": kafka.bootstrap, "group.id": "check", "enable.auto.commit": False}
    with closing(Consumer(config)) as consumer:
        for partition in range(kafka.partitions):
            place = TopicPartition(kafka.topic(topic), partition, 0)
            end = consumer.get_watermark_offsets(place, timeout=TIMEOUT_S)[1]
            consumer.assign([place])
            read = 0
            while read < end and (message := consumer.poll(TIMEOUT_S)) is not None:
                found.append(message)
                read = (message.offset() or 0) + 1
    return found
