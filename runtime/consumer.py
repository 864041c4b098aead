"""The consumer loop: records from Kafka, effects and offsets in one PostgreSQL transaction, then an after-commit step.

In: topics, a handler, a database. Out: each record applied once, however often it is delivered.
The offsets live beside the effects and move by compare-and-set, so a member that was paused and has lost its
partitions finds them moved, rolls back and stops (`Fenced`). The group's own offsets are only for lag tools.
A log that has lost its end is read again from its first record: nobody knows what was written since at offsets that
were read before, and what took effect already changes nothing.
The range assignor gives one member partition p of all its topics, so a job's records all meet in one process.
Knows no record's meaning.
"""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from runtime import telemetry
from runtime.errors import Fenced, Unavailable
from runtime.faults import crash_point
from runtime.health import Health
from runtime.kafka import ADMIN_TIMEOUT_S, Incoming, Place, consumer_config, is_fatal, watermarks
from runtime.lag import Lag
from runtime.membership import Membership
from runtime.positions import LogEndLost, Positions
from runtime.postgres import Connection, connection, transaction
from runtime.settings import Kafka
from runtime.telemetry import logger

POLL_S = 0.05
BATCH_RECORDS = 500
BATCH_BYTES = 16_000_000
_TAKEN_AT_ONCE = 25
LAG_PERIOD_S = 1.0
BROKER_CHECK_TIMEOUT_S = 1.0
# The broker has nothing at the place that is read on from.
_PLACE_GONE = (KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET, KafkaError._LOG_TRUNCATION)

log = logger(__name__)


class StopPartition(Exception):
    """The record at `incoming` cannot be read and must not be skipped: its partition stops, the others go on."""

    def __init__(self, incoming: Incoming, reason: str) -> None:
        super().__init__(f"{incoming.topic}/{incoming.partition}@{incoming.offset}: {reason}")
        self.incoming = incoming


class Handler(Protocol):
    """What a process does with its records."""

    def assigned(self, conn: Connection, partitions: frozenset[int]) -> None:
        """These partitions are ours now; finish here what a crash may have left after a commit."""

    def apply(self, conn: Connection, partition: int, records: Sequence[Incoming]) -> None:
        """Applies records of one partition number inside the open transaction; may raise StopPartition."""

    def committed(self, conn: Connection, partition: int) -> None:
        """The transaction of `partition` is committed."""

    def tick(self, conn: Connection) -> None:
        """Called every few hundredths of a second, outside any transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """Who reads what: the name is consumer group and owner of the offsets."""

    name: str
    topics: tuple[str, ...]
    instance_id: str = ""
    batch_records: int = BATCH_RECORDS


class ConsumerLoop:
    """One member of a consumer group. `run` returns when `stop` is set and raises when it must be restarted."""

    def __init__(
        self,
        kafka: Kafka,
        dsn: str,
        subscription: Subscription,
        handler: Handler,
        health: Health,
    ) -> None:
        self._kafka = kafka
        self._dsn = dsn
        self._sub = subscription
        self._handler = handler
        self._health = health
        self._positions = Positions(kafka.group(subscription.name))
        self._assigned: list[TopicPartition] | None = None
        self._stopped: set[int] = set()
        self._lag = Lag()
        self._lag_at = 0.0
        self._broker_away = False
        self._membership = Membership()
        self._told: dict[Place, int] = {}

    def run(self, stop: threading.Event) -> None:
        """Consumes until `stop`; raises Unavailable, Fenced or whatever pure code raised."""
        # A place that is gone is never passed over in silence: `_beginning` deals with it at the next assignment.
        extra: dict[str, str | int | bool] = {
            "partition.assignment.strategy": "range",
            "auto.offset.reset": "error",
        }
        if self._sub.instance_id:
            extra["group.instance.id"] = self._sub.instance_id
        consumer = Consumer(
            {
                **consumer_config(self._kafka, self._sub.name, **extra),
                "error_cb": self._on_error,
            }
        )
        self._membership.left()
        consumer.subscribe(
            [self._kafka.topic(topic) for topic in self._sub.topics],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_revoke,
        )
        try:
            self._run(consumer, stop)
        except Fenced as error:
            telemetry.fenced_writes.inc()
            log.error("another member owns the partition", action="consumer.fenced", why=str(error))
            raise
        finally:
            consumer.close()

    def _run(self, consumer: Consumer, stop: threading.Event) -> None:
        # Without autocommit a handler's single statement would open a transaction, and ours would be a savepoint in it.
        with connection(self._dsn, autocommit=True) as conn:
            while not stop.is_set():
                batch = self._following(consumer, self._poll(consumer))
                if self._assigned is not None:
                    self._begin(conn)
                for partition, records in _by_partition(batch):
                    self._apply_or_stop(consumer, conn, partition, records)
                self._handler.tick(conn)
                self._watch(consumer)

    def _poll(self, consumer: Consumer) -> list[Incoming]:
        # consume(n, t) would wait t for a full batch: so poll first, then take what is already there.
        first = consumer.poll(POLL_S)
        if first is None:
            return []
        messages, size = [first], len(first)
        while len(messages) < self._sub.batch_records and size < BATCH_BYTES:
            more = consumer.consume(min(_TAKEN_AT_ONCE, self._sub.batch_records - len(messages)), 0)
            if not more:
                break
            messages += more
            size += sum(map(len, more))
        return [Incoming.of(message, self._kafka.topic_prefix) for message in messages if self._usable(message)]

    def _following(self, consumer: Consumer, records: list[Incoming]) -> list[Incoming]:
        try:
            return self._positions.following(records)
        except LogEndLost as lost:
            log.error("the log holds another record than was read", action="consumer.other_record", place=str(lost))
            ours = consumer.assignment()
            self._on_revoke(consumer, ours)
            self._on_assign(consumer, ours)
            return []

    def _usable(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return (message.topic() or "").removeprefix(self._kafka.topic_prefix) in self._sub.topics
        if is_fatal(error) or error.code() in _PLACE_GONE:
            raise Unavailable(f"Kafka: {error}")
        log.warning("the broker reported an error", action="consumer.error", error=str(error))
        return False

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        prefix = self._kafka.topic_prefix
        with connection(self._dsn, autocommit=True) as conn, transaction(conn, "offsets.start"):
            self._positions.load(conn, ((tp.topic.removeprefix(prefix), tp.partition) for tp in partitions))
            for tp in partitions:
                tp.offset = self._beginning(consumer, conn, tp)
        consumer.assign(partitions)
        self._assigned = partitions
        self._membership.joined()
        self._stopped.clear()
        telemetry.stopped_partitions.set(0)

    def _beginning(self, consumer: Consumer, conn: Connection, tp: TopicPartition) -> int:
        place = (tp.topic.removeprefix(self._kafka.topic_prefix), tp.partition)
        low, high = _watermarks(consumer, tp)
        if self._positions.lost(place, high):
            self._read_again(conn, place, low, high)
        return self._positions.first_to_read(place, low)

    def _read_again(self, conn: Connection, place: Place, low: int, high: int) -> None:
        topic, partition = place
        telemetry.log_ends_lost.labels(topic).inc()
        log.error(
            "the log has lost its end, and is read again",
            action="consumer.log_lost",
            topic=topic,
            partition=partition,
            read=self._positions.next[place],
            first=low,
            end=high,
        )
        self._positions.read_again(conn, place, low)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # The client would keep the pause for when the partition comes back: it is read, and stops, anew.
        consumer.resume([tp for tp in partitions if tp.partition in self._stopped])
        self._positions.forget()
        self._assigned = None
        self._membership.left()

    def _begin(self, conn: Connection) -> None:
        numbers = frozenset(tp.partition for tp in self._assigned or ())
        self._assigned = None
        self._handler.assigned(conn, numbers)
        self._health.ready()
        log.info(
            "partitions assigned",
            action="consumer.assigned",
            partitions=sorted(numbers),
        )

    def _apply_or_stop(
        self,
        consumer: Consumer,
        conn: Connection,
        partition: int,
        records: list[Incoming],
    ) -> None:
        """Applies what can be applied; a record that must not be skipped stops its partition with all its topics."""
        if partition in self._stopped:
            return
        found: StopPartition | None = None
        while records:
            try:
                self._apply(conn, partition, records)
                break
            except StopPartition as stopped:
                found, bad = stopped, stopped.incoming
                records = [r for r in records if r.topic != bad.topic or r.offset < bad.offset]
        if found is not None:
            self._stop(consumer, partition, found)

    def _stop(self, consumer: Consumer, partition: int, why: StopPartition) -> None:
        log.error("a partition stopped at a record that cannot be read", action="consumer.stopped", why=str(why))
        self._stopped.add(partition)
        telemetry.stopped_partitions.set(len(self._stopped))
        consumer.pause([TopicPartition(self._kafka.topic(t), p) for t, p in self._positions.next if p == partition])

    def _apply(self, conn: Connection, partition: int, records: list[Incoming]) -> None:
        if not records:
            return
        started = time.monotonic()
        with transaction(conn, "batch.commit"):
            self._handler.apply(conn, partition, records)
            moved = self._positions.advance(conn, records)
        self._positions.settle(moved)
        for topic, count in Counter(record.topic for record in records).items():
            telemetry.records_in.labels(topic).inc(count)
        self._handler.committed(conn, partition)
        telemetry.batch_seconds.labels(self._sub.name).observe(time.monotonic() - started)
        self._health.moved()

    def _watch(self, consumer: Consumer) -> None:
        """Once a second: lag, the group's offsets for lag tools, and whether the broker is there."""
        if time.monotonic() - self._lag_at < LAG_PERIOD_S:
            return
        self._lag_at = time.monotonic()
        if self._broker_away:
            self._broker_away = not _answers(consumer)
        self._health.broker(not self._broker_away)
        self._membership.watch(not self._broker_away)
        places = {place: (self._end(consumer, place), following) for place, following in self._positions.next.items()}
        self._health.lag(self._lag.report(time.monotonic(), places))
        self._tell_group(consumer)

    def _end(self, consumer: Consumer, place: Place) -> int:
        topic, partition = place
        _, high = consumer.get_watermark_offsets(TopicPartition(self._kafka.topic(topic), partition), cached=True)
        return int(high)

    def _tell_group(self, consumer: Consumer) -> None:
        following = dict(self._positions.next)
        if following == self._told:
            return
        offsets = [TopicPartition(self._kafka.topic(t), p, offset) for (t, p), offset in following.items()]
        try:
            with crash_point("group.commit", _not_told):
                consumer.commit(offsets=offsets, asynchronous=True)
            self._told = following
        except KafkaException as error:  # during a rebalance; ours are in PostgreSQL, these are for lag tools
            log.info("the group was not told", action="consumer.commit", error=str(error))

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._broker_away = True


def _watermarks(consumer: Consumer, tp: TopicPartition) -> tuple[int, int]:
    """First and following offset of a partition; raises Unavailable."""
    try:
        return watermarks(consumer, tp, ADMIN_TIMEOUT_S)
    except KafkaException as error:
        raise Unavailable(f"Kafka: {error}") from error


def _not_told(message: str) -> KafkaException:
    return KafkaException(KafkaError(KafkaError._TIMED_OUT, message))


def _answers(consumer: Consumer) -> bool:
    try:
        consumer.list_topics(timeout=BROKER_CHECK_TIMEOUT_S)
    except KafkaException:
        return False
    return True


def _by_partition(records: list[Incoming]) -> list[tuple[int, list[Incoming]]]:
    ordered = sorted(records, key=lambda record: record.partition)  # stable: order within a topic stays
    return [(partition, list(group)) for partition, group in groupby(ordered, key=lambda record: record.partition)]
