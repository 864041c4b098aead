"""Where chunks come from: the consumer that never stops polling, and the offsets of what is not answered yet.

In: the topics of the chunk lanes. Out: records, and commits of what is answered with the tries beside it.
Each partition hands out a bounded number of open records and is paused while it is full. A partition that is taken
away is first offered to the owner, who may keep it until a running batch is over. Knows no model and no audio.
"""

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, Message, TopicPartition

from runtime import telemetry
from runtime.errors import Unavailable
from runtime.faults import crash_point
from runtime.kafka import Incoming, consumer_config, is_fatal
from runtime.lag import Lag
from runtime.membership import Membership
from runtime.settings import Kafka
from runtime.telemetry import logger
from streams.speech.offsets import Commit, Ledger, Place, Position

POLL_RECORDS = 100
ASK_TIMEOUT_S = 10.0
BROKER_CHECK_TIMEOUT_S = 1.0
# Answered records behind an open one are read again after a crash; this bounds how many.
SPAN_PER_HELD = 8

log = logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Who reads what: `hold` is how many records of a partition may be open at a time."""

    group: str
    topics: tuple[str, ...]
    instance_id: str
    hold: int
    max_poll_s: int


class Owner(Protocol):
    """Who works on the records."""

    def let_go(self, places: frozenset[Place], lost: bool) -> None:
        """These partitions go to another member after this call; unless `lost`, commits are still possible."""


class Intake:
    """One member of a consumer group over the chunk lanes."""

    def __init__(self, kafka: Kafka, reader: Reader) -> None:
        self._kafka = kafka
        self._reader = reader
        self._ledgers: dict[Place, Ledger] = {}
        self._paused: set[Place] = set()
        self._owner: Owner | None = None
        self._broker_away = False
        self._membership = Membership()
        self._lag = Lag()
        extra: dict[str, str | int | bool] = {
            "partition.assignment.strategy": "cooperative-sticky",
            "max.poll.interval.ms": reader.max_poll_s * 1000,
            # Pausing drops what is fetched ahead, so little is.
            "queued.min.messages": POLL_RECORDS,
        }
        if reader.instance_id:
            extra["group.instance.id"] = reader.instance_id
        config = consumer_config(kafka, reader.group, **extra)
        self._consumer = Consumer({**config, "error_cb": self._on_error})

    def subscribe(self, owner: Owner) -> None:
        """Joins the group."""
        self._owner = owner
        self._consumer.subscribe(
            [self._kafka.topic(topic) for topic in self._reader.topics],
            on_assign=self._on_assign,
            on_revoke=lambda _, partitions: self._release(partitions, lost=False),
            on_lost=lambda _, partitions: self._release(partitions, lost=True),
        )

    def poll(self, wait_s: float) -> list[Incoming]:
        """What has come; waits only for the first record. Raises Unavailable when the consumer cannot go on."""
        # consume(n, t) would wait t for a full batch: so poll first, then take what is already there.
        first = self._consumer.poll(wait_s)
        messages = [] if first is None else [first, *self._consumer.consume(POLL_RECORDS, 0)]
        found = [Incoming.of(message, self._kafka.topic_prefix) for message in messages if self._usable(message)]
        mine = [record for record in found if self._open(record)]
        self._throttle()
        return mine

    def owns(self, place: Place) -> bool:
        """Whether the partition is ours."""
        return place in self._ledgers

    def tries(self, position: Position) -> int:
        """How often the record was handed to a model without an answer."""
        ledger = self._ledgers.get(position.place)
        return ledger.tries(position.offset) if ledger else 0

    def answered(self, position: Position) -> None:
        """The record has its answer, or needs none."""
        if ledger := self._ledgers.get(position.place):
            ledger.answered(position.offset)

    def tried(self, positions: Iterable[Position]) -> None:
        """The records are about to be handed to a model; `commit` must follow and succeed first."""
        for position in positions:
            if ledger := self._ledgers.get(position.place):
                ledger.tried([position.offset])

    def untried(self, positions: Iterable[Position]) -> None:
        """Takes back a try that was not the records' fault."""
        for position in positions:
            if ledger := self._ledgers.get(position.place):
                ledger.untried([position.offset])

    def commit(self) -> bool:
        """Commits what is due; False when the group is in between and it must be tried again."""
        due = {place: commit for place, ledger in self._ledgers.items() if (commit := ledger.due())}
        if not due:
            return True
        offsets = [
            TopicPartition(self._kafka.topic(place.topic), place.partition, commit.offset, commit.metadata)
            for place, commit in due.items()
        ]
        try:
            with crash_point("offsets.commit", _timed_out):
                answers = self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            return self._commit_later(error.args[0])
        for answer in answers or ():
            if answer.error is not None:
                return self._commit_later(answer.error)
        for place, commit in due.items():
            self._ledgers[place].saved(commit)
        return True

    def broker_answers(self) -> bool:
        """Whether the broker is there; asks it only when it was gone. Ends the process when it has forgotten us."""
        if self._broker_away:
            with suppress(KafkaException):
                self._consumer.list_topics(timeout=BROKER_CHECK_TIMEOUT_S)
                self._broker_away = False
        self._membership.watch(not self._broker_away)
        return not self._broker_away

    def lag(self) -> int:
        """How many records of our partitions are not answered; keeps the metric."""
        places = {}
        for place, ledger in self._ledgers.items():
            partition = TopicPartition(self._kafka.topic(place.topic), place.partition)
            _, high = self._consumer.get_watermark_offsets(partition, cached=True)
            places[place.topic, place.partition] = (high, high - ledger.behind(high))
        return self._lag.report(time.monotonic(), places)

    def close(self) -> None:
        """Leaves the group; the owner is asked to let go of every partition."""
        self._consumer.close()

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        committed = consumer.committed(partitions, timeout=ASK_TIMEOUT_S) if partitions else []
        for partition in committed:
            place = self._place(partition)
            known = partition.offset != OFFSET_INVALID
            self._ledgers[place] = Ledger(Commit(partition.offset, partition.metadata or "") if known else None)
        consumer.incremental_assign(partitions)
        self._membership.joined()
        log.info("partitions assigned", action="consumer.assigned", partitions=sorted(self._ledgers))

    def _release(self, partitions: list[TopicPartition], *, lost: bool) -> None:
        places = frozenset(self._place(partition) for partition in partitions)
        if self._owner:
            self._owner.let_go(places, lost)
        for place in places:
            self._ledgers.pop(place, None)
        # The client would keep the pause for when the partition comes back. Before the unassign: a resume that follows
        # an assign closely may undo it (librdkafka #5591).
        self._consumer.resume([partition for partition in partitions if self._place(partition) in self._paused])
        self._paused -= places
        self._consumer.incremental_unassign(partitions)
        if lost:
            self._membership.left()
        log.info("partitions released", action="consumer.released", partitions=sorted(places), lost=lost)

    def _open(self, record: Incoming) -> bool:
        ledger = self._ledgers.get(Place(record.topic, record.partition))
        if ledger is None:  # fetched before its partition was taken away
            return False
        ledger.opened(record.offset)
        telemetry.records_in.labels(record.topic).inc()
        return True

    def _throttle(self) -> None:
        hold = self._reader.hold
        for place, ledger in self._ledgers.items():
            partition = TopicPartition(self._kafka.topic(place.topic), place.partition)
            wide = ledger.span >= hold * SPAN_PER_HELD
            if place not in self._paused and (ledger.open >= hold or wide):
                self._consumer.pause([partition])
                self._paused.add(place)
            elif place in self._paused and ledger.open <= hold // 2 and not wide:
                self._consumer.resume([partition])
                self._paused.discard(place)

    def _usable(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return True
        if is_fatal(error):
            raise Unavailable(f"Kafka: {error}")
        log.warning("the broker reported an error", action="consumer.error", error=str(error))
        return False

    def _commit_later(self, error: KafkaError) -> bool:
        if is_fatal(error):
            raise Unavailable(f"Kafka: {error}")
        # ILLEGAL_GENERATION and REBALANCE_IN_PROGRESS are normal while members come and go.
        log.info("the commit is tried again", action="consumer.commit_later", error=str(error))
        return False

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._broker_away = True

    def _place(self, partition: TopicPartition) -> Place:
        return Place(partition.topic.removeprefix(self._kafka.topic_prefix), partition.partition)


def _timed_out(message: str) -> KafkaException:
    return KafkaException(KafkaError(KafkaError.REQUEST_TIMED_OUT, message))
