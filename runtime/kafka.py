"""Kafka: topics, producers and the configuration of consumers.

In: records and settings. Out: records on topics, at the partition `schemas` computes and no other.
Producers are idempotent and wait for all replicas; a send that fails for good raises Unavailable.
Knows no view and no engine.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, cast

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError as AsyncKafkaError
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from runtime import settings, telemetry
from runtime.errors import Unavailable
from schemas.codec import Codec, headers
from schemas.records import Record
from schemas.topics import DEAD_LETTERS, TOPICS, Topic, address

DELIVERY_TIMEOUT_MS = 120_000
SESSION_TIMEOUT_MS = 6_000
ADMIN_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 5.0
TOPIC_READY_TIMEOUT_S = 30.0
REDRIVE_HEADER = "palimpsest_redrive"  # how often a record came back from the dead letters
FETCH_BYTES = 8_388_608
FETCH_AHEAD_BYTES = 16_777_216
_QUEUE_RECORDS = 20_000
_MAX_MESSAGE_BYTES = 2_000_000
_NO_LEADER = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)
_LEADER_POLL_S = 0.2

Headers = list[tuple[str, bytes | str | None]]
Place = tuple[str, int]  # a topic and a partition of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A record as bytes, with its place; `topic` is without prefix, a value of None is a tombstone."""

    topic: str
    partition: int
    key: bytes
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A record as it was read; `topic` is without prefix."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp_ms: int

    @property
    def redrives(self) -> int:
        """How often the record was sent again from the dead letters; its event id is the same each time."""
        found = (value for name, value in self.headers if name == REDRIVE_HEADER and value.isdigit())
        return int(next(found, b"0"))

    @classmethod
    def of(cls, message: Message, prefix: str) -> "Incoming":
        """From confluent-kafka's message, which must not be an error."""
        return cls(
            topic=(message.topic() or "").removeprefix(prefix),
            partition=message.partition() or 0,
            offset=message.offset() or 0,
            key=_bytes(message.key()),
            value=_bytes(message.value()),
            headers=tuple((name, _bytes(value) or b"") for name, value in cast(Headers, message.headers() or [])),
            timestamp_ms=message.timestamp()[1],
        )


def _bytes(value: Any) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


def outgoing(record: Record, topic: str, codec: Codec, partitions: int, source: str) -> Outgoing:
    """Final bytes of a record for a topic; raises ValueError where the topic may not carry it."""
    place = address(record, topic, partitions)
    return Outgoing(
        topic=topic,
        partition=place.partition,
        key=place.key,
        value=codec.encode(record),
        headers=tuple(headers(record, source)),
    )


def redriven(out: Outgoing, redrives: int) -> Outgoing:
    """Marked as coming back, or as the answer to what came back: it counts anew beside the one of the same event id."""
    if not redrives:
        return out
    others = tuple(header for header in out.headers if header[0] != REDRIVE_HEADER)
    return replace(out, headers=(*others, (REDRIVE_HEADER, str(redrives).encode())))


def dead_letter(incoming: Incoming, group: str, cause: str, message: str, tries: int) -> Outgoing:
    """The original bytes, key and headers, with `__dlq.errors.*` headers that say where it failed and why."""
    errors = {
        "topic": incoming.topic,
        "partition": str(incoming.partition),
        "offset": str(incoming.offset),
        "group": group,
        "exception": cause,
        "message": message,
        "attempts": str(tries),
    }
    extra = tuple((f"__dlq.errors.{name}", value.encode()) for name, value in errors.items())
    return Outgoing(
        topic=DEAD_LETTERS,
        partition=incoming.partition,
        key=incoming.key or b"",
        value=incoming.value,
        headers=incoming.headers + extra,
    )


class EventProducer:
    """Synchronous producer of workers: queue with `send`, then `flush`, which raises if any of it failed."""

    def __init__(self, kafka: settings.Kafka, *, linger_ms: int = 0) -> None:
        self._prefix = kafka.topic_prefix
        self._failures: list[str] = []
        self._acknowledged: dict[tuple[str, int], int] = {}
        self._producer = Producer(
            {
                "bootstrap.servers": kafka.bootstrap,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": linger_ms,
                "delivery.timeout.ms": DELIVERY_TIMEOUT_MS,
                "message.max.bytes": _MAX_MESSAGE_BYTES,
                "queue.buffering.max.messages": _QUEUE_RECORDS,
            }
        )

    def send(self, out: Outgoing) -> None:
        """Queues a record; blocks while the queue is full."""
        while True:
            try:
                self._producer.produce(
                    self._prefix + out.topic,
                    value=out.value,
                    key=out.key,
                    partition=out.partition,
                    headers=list(out.headers),
                    on_delivery=self._delivered,
                )
                return
            except BufferError:
                self._producer.poll(0.1)

    def flush(self) -> None:
        """Waits until everything queued is acknowledged; raises Unavailable if anything was not."""
        self._producer.flush(DELIVERY_TIMEOUT_MS / 1000 + 1)
        if len(self._producer) or self._failures:
            failures, self._failures = self._failures, []
            raise Unavailable(f"{len(self._producer)} records unsent; failures: {failures[:3]}")

    def acknowledged(self, topic: str) -> dict[int, int]:
        """The offset after the last record of ours that the broker has, by partition written to."""
        return {partition: following for (name, partition), following in self._acknowledged.items() if name == topic}

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failures.append(str(error))
            return
        topic, partition = (message.topic() or "").removeprefix(self._prefix), message.partition() or 0
        following = (message.offset() or 0) + 1
        self._acknowledged[topic, partition] = max(following, self._acknowledged.get((topic, partition), 0))
        telemetry.records_out.labels(topic).inc()


class AsyncEventProducer:
    """Producer of the async processes; `send` returns when the broker has the record.

    One that failed may have lost count of what the broker has, and would be refused for ever: another takes its place.
    """

    def __init__(self, kafka: settings.Kafka) -> None:
        self._kafka = kafka
        self._prefix = kafka.topic_prefix
        self._producer = self._made()
        self._renewal: asyncio.Task[None] | None = None

    def _made(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            bootstrap_servers=self._kafka.bootstrap,
            enable_idempotence=True,
            acks="all",
            linger_ms=0,
            request_timeout_ms=10_000,
            max_request_size=_MAX_MESSAGE_BYTES,
        )

    async def start(self) -> None:
        """Connects; raises Unavailable."""
        try:
            await self._producer.start()
        except AsyncKafkaError as error:
            raise Unavailable(f"Kafka: {error}") from error

    async def stop(self) -> None:
        """Sends what is queued and disconnects; without a broker it gives up what is queued after a while."""
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.wait({self._renewal})
        await _stopped(self._producer)

    async def send(self, out: Outgoing) -> int:
        """The record's offset, when all replicas have it; raises Unavailable."""
        producer = self._producer
        try:
            place = await producer.send_and_wait(
                self._prefix + out.topic,
                value=out.value,
                key=out.key,
                partition=out.partition,
                headers=list(out.headers),
            )
        except AsyncKafkaError as error:
            self._replace(producer)
            raise Unavailable(f"Kafka: {error}") from error
        telemetry.records_out.labels(out.topic).inc()
        return int(place.offset)

    def _replace(self, failed: AIOKafkaProducer) -> None:
        if self._producer is failed and (self._renewal is None or self._renewal.done()):
            self._renewal = asyncio.create_task(self._renew(failed))

    async def _renew(self, failed: AIOKafkaProducer) -> None:
        """While the broker is away the old one stays, and its next failure tries again."""
        fresh = self._made()
        try:
            await fresh.start()
        except BaseException as error:
            await _stopped(fresh)
            if not isinstance(error, AsyncKafkaError):
                raise
            return
        self._producer = fresh
        await _stopped(failed)

    async def reachable(self) -> bool:
        """Whether the broker answers now."""
        try:
            await self._producer.client.fetch_all_metadata()
        except AsyncKafkaError:
            return False
        return True


async def _stopped(producer: AIOKafkaProducer) -> None:
    with suppress(TimeoutError, AsyncKafkaError):
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await producer.stop()


def is_fatal(error: KafkaError) -> bool:
    """Whether the client can never go on. One that comes as a message of its own has only the code, not the mark."""
    return error.fatal() or error.code() == KafkaError._FATAL


def consumer_config(kafka: settings.Kafka, group: str, **extra: str | int | bool) -> dict[str, str | int | bool]:
    """What all our consumers share: no automatic commits, every record from the first, quick failure detection."""
    shared: dict[str, str | int | bool] = {
        "bootstrap.servers": kafka.bootstrap,
        "group.id": kafka.group(group),
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "session.timeout.ms": SESSION_TIMEOUT_MS,
        "heartbeat.interval.ms": 2_000,
        "max.poll.interval.ms": 300_000,
        "fetch.wait.max.ms": 50,
        "fetch.message.max.bytes": _MAX_MESSAGE_BYTES,
        # What is fetched ahead, for all partitions of a consumer together and for each.
        "fetch.max.bytes": FETCH_BYTES,
        "queued.max.messages.kbytes": FETCH_AHEAD_BYTES // 1024,
    }
    return shared | extra


def watermarks(consumer: Consumer, place: TopicPartition, timeout_s: float) -> tuple[int, int]:
    """First and next offset of a partition; waits while it has no leader: it is new, or its broker has just gone."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return consumer.get_watermark_offsets(place, timeout=timeout_s)
        except KafkaException as error:
            if error.args[0].code() not in _NO_LEADER or time.monotonic() > deadline:
                raise
            time.sleep(_LEADER_POLL_S)


class TopicMismatch(Exception):
    """A topic exists in another shape than the table says; partition counts are fixed at creation."""


def apply_topics(kafka: settings.Kafka, overrides: Mapping[str, Mapping[str, str]] | None = None) -> list[str]:
    """Creates the missing topics and returns their names; raises TopicMismatch for one in another shape.

    `overrides` changes the broker settings of single topics, by name without prefix: local stacks and tests
    let erased text go within seconds instead of days.
    """
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    there = admin.list_topics(timeout=ADMIN_TIMEOUT_S).topics
    missing = [topic for topic in TOPICS if kafka.topic(topic.name) not in there]
    wrong = [
        f"{kafka.topic(topic.name)} has {len(found.partitions)} partitions, not {kafka.partitions}"
        for topic in TOPICS
        if (found := there.get(kafka.topic(topic.name))) and len(found.partitions) != kafka.partitions
    ]
    if wrong:
        raise TopicMismatch("; ".join(wrong))
    wanted = [_new_topic(kafka, topic, (overrides or {}).get(topic.name, {})) for topic in missing]
    for name, future in admin.create_topics(wanted).items() if wanted else ():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise Unavailable(f"creating {name}: {error}") from error
    _wait_for(admin, [kafka.topic(topic.name) for topic in missing])
    return [kafka.topic(topic.name) for topic in missing]


def _new_topic(kafka: settings.Kafka, topic: Topic, overrides: Mapping[str, str]) -> NewTopic:
    return NewTopic(
        kafka.topic(topic.name),
        num_partitions=kafka.partitions,
        replication_factor=kafka.replication,
        config={**topic.config, **overrides},
    )


def _wait_for(admin: AdminClient, names: Sequence[str]) -> None:
    """Created topics take a moment until every broker answers for them."""
    deadline = time.monotonic() + TOPIC_READY_TIMEOUT_S
    while set(names) - admin.list_topics(timeout=ADMIN_TIMEOUT_S).topics.keys():
        if time.monotonic() > deadline:
            raise Unavailable(f"topics not visible after {TOPIC_READY_TIMEOUT_S:.0f} s")
        time.sleep(0.05)


def topic_settings(kafka: settings.Kafka, name: str) -> dict[str, str]:
    """The broker's settings of a topic, by name without prefix."""
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    resource = ConfigResource(ResourceType.TOPIC, kafka.topic(name))
    entries = admin.describe_configs([resource])[resource].result(ADMIN_TIMEOUT_S)
    return {key: entry.value for key, entry in entries.items()}
