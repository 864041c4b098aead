"""Faust, so that it loses nothing: an application that commits only what was acknowledged and dies of any exception.

In: settings. Out: a Faust application whose agents must read their stream through `records`.
Why each line is there: an auto-acking stream acknowledges what raised; the default supervisor restarts an agent past
the record that killed it; Faust's producer is not idempotent unless asked; and on a rebalance Faust forgets what was
acknowledged before it commits it. Knows no event.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import faust
from aiokafka.errors import KafkaError
from faust.exceptions import ProducerSendError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, AppT

from runtime import settings, telemetry
from runtime.errors import Unavailable
from runtime.faults import crash_point
from runtime.kafka import SESSION_TIMEOUT_MS, Incoming, Outgoing
from runtime.telemetry import logger

COMMIT_INTERVAL_S = 1.0
HEARTBEAT_S = 2.0
# A member that joins waits for the file in hand, which may take two minutes.
REBALANCE_TIMEOUT_S = 150.0
# What the file in hand gets to be finished after SIGTERM.
GRACE_S = 15.0
# Above a rebalance, which waits for the file in hand of another member.
HANDED_OUT_WITHIN_S = 180.0
BUFFERED_RECORDS = 4096
POLLED_RECORDS = 50
_COMMIT_BEFORE_REVOKE_S = 5.0
_LAG_TIMEOUT_S = 5.0

log = logger(__name__)


class IdempotentProducer(driver.Producer):
    """Repeats of a send within the producer's life are dropped by the broker."""

    def _settings_extra(self) -> dict[str, Any]:
        return {"acks": "all", "enable_idempotence": True}


class RecordSkipped(Exception):
    """Faust did not hand out a record; the message says where."""


class Succession:
    """The records of each partition as Faust hands them out, one after the other.

    After an outage of the broker a record that was on its way can be lost inside Faust, and what comes after it would
    be acknowledged in its stead. A process that ends before that starts again where the last commit was.
    """

    def __init__(self) -> None:
        self._next: dict[int, int] = {}
        self._in_hand = False
        self._waiting_since: float | None = None

    def resume(self, partition: int, offset: int | None) -> None:
        """From here the partition is read anew; without an offset wherever its log begins."""
        if offset is None:
            self._next.pop(partition, None)
        else:
            self._next[partition] = offset

    def take(self, partition: int, offset: int) -> None:
        """Raises RecordSkipped where records are missing before this one; one that comes again is none."""
        expected = self._next.get(partition, offset)
        if offset > expected:
            raise RecordSkipped(f"partition {partition}: {offset} was handed out where {expected} is next")
        self._next[partition] = offset + 1
        self._in_hand = True
        self._waiting_since = None

    def done(self) -> None:
        """The record that was taken is acknowledged."""
        self._in_hand = False

    def watch(self, now_s: float, behind: bool) -> None:
        """Raises RecordSkipped when records have been waiting for too long while none is in hand."""
        if self._in_hand or not behind:
            self._waiting_since = None
        elif self._waiting_since is None:
            self._waiting_since = now_s
        elif now_s - self._waiting_since > HANDED_OUT_WITHIN_S:
            raise RecordSkipped(f"records wait, and none was handed out for {HANDED_OUT_WITHIN_S:.0f} s")


class CommittingConsumer(driver.Consumer):
    """Commits what is acknowledged before Faust forgets it, and does not wait for ever when the application ends."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.succession = Succession()
        self._was_assigned = False

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Back to the last commit, and where there is none to the beginning: Faust would leave out what it dropped."""
        committed: Mapping[TP, int] = await super().seek_to_committed()
        if untouched := [tp for tp, offset in committed.items() if not offset]:
            thread: Any = self._thread
            await thread.call_thread(thread._ensure_consumer().seek_to_beginning, *untouched)
        starts = await self.earliest_offsets(*committed) if self._was_assigned else {}
        for tp, offset in committed.items():
            # The first time the log is believed whatever it lacks, else a gap in it would end every process to come.
            self.succession.resume(tp.partition, max(offset or 0, starts[tp]) if starts else None)
        self._was_assigned = True
        return committed

    async def wait_empty(self) -> None:
        """Waits for the record in hand; at the end only for a while, then Faust cancels it unacknowledged."""
        waiting = asyncio.ensure_future(super().wait_empty())
        await asyncio.wait({waiting}, timeout=GRACE_S if self.app.should_stop else None)
        if waiting.done():
            waiting.result()
        else:
            log.warning("the record in hand is given up", action="consumer.given_up", grace_s=GRACE_S)
            waiting.cancel()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """At worst the records are read again."""
        try:
            await asyncio.wait_for(self.commit(), _COMMIT_BEFORE_REVOKE_S)
        except Exception as error:
            log.warning("no commit before the rebalance", action="consumer.no_commit", error=repr(error))
        await super().on_partitions_revoked(revoked)

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        with crash_point("offsets.commit", KafkaError):
            committed: bool = await super()._commit(offsets)
        return committed


class CrashOnlyTransport(driver.Transport):
    """Both of the above."""

    Producer = IdempotentProducer
    Consumer = CommittingConsumer


def crash_only_app(kafka: settings.Kafka, group: str, instance_id: str, data_dir: Path) -> AppT:
    """An application of consumer group `group`; with an instance id its crash and restart move no partition."""
    app = faust.App(
        kafka.group(group),
        broker=f"kafka://{kafka.bootstrap}",
        store="memory://",
        datadir=str(data_dir),
        agent_supervisor="mode.CrashingSupervisor",
        producer_acks=-1,
        table_standby_replicas=0,
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=instance_id or None,
        stream_buffer_maxsize=BUFFERED_RECORDS,
        stream_wait_empty=True,
        broker_max_poll_records=POLLED_RECORDS,
        broker_commit_interval=COMMIT_INTERVAL_S,
        broker_session_timeout=SESSION_TIMEOUT_MS / 1000,
        broker_heartbeat_interval=HEARTBEAT_S,
        broker_rebalance_timeout=REBALANCE_TIMEOUT_S,
        worker_redirect_stdouts=False,
    )
    transport = CrashOnlyTransport(app.conf.broker_producer, app)
    app.producer_transport = transport
    app.transport = CrashOnlyTransport(app.conf.broker_consumer, app)
    return app


async def records(app: AppT, stream: Any, prefix: str) -> AsyncIterator[Incoming]:
    """Each record of an agent's stream; it is acknowledged when the next is asked for, and not at all before.

    Topics lose their `prefix`. Raises RecordSkipped where records are missing.
    """
    succession = _consumer(app).succession
    async for event in stream.noack().events():
        succession.take(event.message.partition, event.message.offset)
        yield _incoming(event.message, prefix)
        await stream.ack(event)
        succession.done()


def _incoming(message: Any, prefix: str) -> Incoming:
    headers = message.headers.items() if isinstance(message.headers, dict) else message.headers or ()
    return Incoming(
        topic=message.topic.removeprefix(prefix),
        partition=message.partition,
        offset=message.offset,
        key=message.key,
        value=message.value,
        headers=tuple((name, value or b"") for name, value in headers),
        timestamp_ms=int(message.timestamp * 1000),
    )


async def send(app: AppT, topic: str, out: Outgoing) -> None:
    """Returns when all replicas have the record, whatever its `topic` is called with its prefix; raises Unavailable."""
    channel = app.topic(topic, key_serializer="raw", value_serializer="raw")
    try:
        sent = await channel.send(key=out.key, value=out.value, partition=out.partition, headers=list(out.headers))
        await sent
    except (KafkaError, ProducerSendError) as error:
        raise Unavailable(f"Kafka: {error}") from error
    telemetry.records_out.labels(out.topic).inc()


async def places(app: AppT) -> dict[TP, tuple[int, int]]:
    """End and committed offset of each assigned partition.

    Raises Unavailable when the broker does not say, RecordSkipped when records have waited too long to be handed out.
    """
    consumer = _consumer(app)
    assigned = consumer.assignment()
    if not assigned:
        return {}
    try:
        ends = await asyncio.wait_for(consumer.highwaters(*assigned), _LAG_TIMEOUT_S)
    except (KafkaError, TimeoutError) as error:
        raise Unavailable(f"Kafka: {error}") from error
    # Faust keeps what it committed to itself; the version is pinned.
    committed = consumer._committed_offset
    found = {tp: (ends[tp], committed.get(tp) or 0) for tp in assigned}
    consumer.succession.watch(time.monotonic(), any(end > done for end, done in found.values()))
    return found


def _consumer(app: AppT) -> CommittingConsumer:
    consumer: Any = app.consumer
    assert isinstance(consumer, CommittingConsumer)
    return consumer
