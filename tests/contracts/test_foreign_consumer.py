"""Anybody can read every topic with confluent-kafka's own deserializer: no line of ours takes part in the reading."""

from collections.abc import Mapping
from contextlib import closing
from typing import Any, cast

from confluent_kafka import Consumer, TopicPartition
from hypothesis import HealthCheck, Phase, find, settings

from runtime.kafka import EventProducer, outgoing
from runtime.registry import Registry
from runtime.settings import Settings
from schemas.codec import Codec
from schemas.records import Record
from schemas.topics import TOPICS
from tests.foreign_reader import foreign_reader
from tests.schemas.records_strategy import any_record

READ_TIMEOUT_S = 20.0


def _one_of(cls: type[Record]) -> Record:
    any_will_do = settings(database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    record: Record = find(any_record(cls), lambda _: True, settings=any_will_do)
    return record


def _foreign_read(bootstrap: str, registry_url: str, topic: str, count: int) -> list[dict[str, Any]]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "analytics", "enable.auto.commit": False})
    partitions = consumer.list_topics(topic, timeout=READ_TIMEOUT_S).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    read = foreign_reader(registry_url, topic)
    messages = consumer.consume(count, READ_TIMEOUT_S)
    consumer.close()
    found = []
    for message in messages:
        fields = read(message.value() or b"")
        name = cast(dict[str, bytes], dict(message.headers() or []))["ce_type"].decode()
        found.append({"_name": name, **fields})
    return found


def test_every_record_of_every_topic_is_read(workspace: Mapping[str, str]) -> None:
    config = Settings.read(workspace)
    with closing(Registry(config.registry_url)) as registry:
        _check_every_topic(config, Codec(registry))


def _check_every_topic(config: Settings, codec: Codec) -> None:
    producer = EventProducer(config.kafka)
    for topic in (topic for topic in TOPICS if topic.records):
        sent = [_one_of(cls) for cls in topic.records]
        for record in sent:
            producer.send(outgoing(record, topic.name, codec, config.kafka.partitions, "test"))
        producer.flush()
        name = config.kafka.topic(topic.name)
        got = _foreign_read(config.kafka.bootstrap, config.registry_url, name, len(sent))
        assert {row["_name"] for row in got} == {f"palimpsest.{type(record).__name__}" for record in sent}
        for record in sent:
            row = next(row for row in got if row["_name"] == f"palimpsest.{type(record).__name__}")
            assert (row["event_id"], row["job_id"]) == (record.event_id, record.job_id)
