"""Faust, so that it loses nothing: an application that commits only what was acknowledged and dies of any exception.

In: settings. Out: a Faust application whose agents must read `stream.noack().events()` and ack last.
Why each line is there: an auto-acking stream acknowledges what raised; the default supervisor restarts an agent past
the record that killed it; Faust's producer is not idempotent unless asked; and on a rebalance Faust forgets what was
acknowledged before it commits it. Knows no event.
"""

import asyncio
from collections.abc import Mapping
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
from runtime.kafka import SESSION_TIMEOUT_MS, Outgoing
from runtime.telemetry import logger

COMMIT_INTERVAL_S = 1.0
HEARTBEAT_S = 2.0
# A member that joins waits for the file in hand, which may take two minutes.
REBALANCE_TIMEOUT_S = 150.0
# What the file in hand gets to be finished after SIGTERM.
GRACE_S = 15.0
BUFFERED_RECORDS = 4096
POLLED_RECORDS = 50
_COMMIT_BEFORE_REVOKE_S = 5.0
_LAG_TIMEOUT_S = 5.0

log = logger(__name__)


class IdempotentProducer(driver.Producer):
    """Repeats of a send within the producer's life are dropped by the broker."""

    def _settings_extra(self) -> dict[str, Any]:
        return {"acks": "all", "enable_idempotence": True}


class CommittingConsumer(driver.Consumer):
    """Commits what is acknowledged before Faust forgets it, and does not wait for ever when the application ends."""

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


class RecordSkipped(Exception):
    """Faust handed out a record and not the one before it; the message says where."""


class Succession:
    """The offsets of each partition as they are handed out.

    After an outage of the broker a record that was on its way can be lost inside Faust, and what comes after it would
    be acknowledged in its stead. A process that ends before that starts again where the last commit was.
    """

    def __init__(self) -> None:
        self._last: dict[int, int] = {}

    def follow(self, partition: int, offset: int) -> None:
        """Raises RecordSkipped where records are missing before this one; one that comes again is none."""
        expected = self._last.get(partition, offset - 1) + 1
        if offset > expected:
            raise RecordSkipped(f"partition {partition}: {offset} was handed out where {expected} is next")
        self._last[partition] = offset


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
    """End and committed offset of each assigned partition; raises Unavailable when the broker does not say."""
    consumer: Any = app.consumer
    assigned = consumer.assignment()
    if not assigned:
        return {}
    try:
        ends = await asyncio.wait_for(consumer.highwaters(*assigned), _LAG_TIMEOUT_S)
    except (KafkaError, TimeoutError) as error:
        raise Unavailable(f"Kafka: {error}") from error
    # Faust keeps what it committed to itself; the version is pinned.
    committed = consumer._committed_offset
    return {tp: (ends[tp], committed.get(tp) or 0) for tp in assigned}
