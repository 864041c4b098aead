"""The consumer loop on a real broker and database: once, in order, fenced, and stopped where it must not skip."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from psycopg import sql

from runtime import telemetry
from runtime.consumer import ConsumerLoop, StopPartition, Subscription
from runtime.errors import Fenced, Unavailable
from runtime.health import Health
from runtime.kafka import EventProducer, Incoming, Outgoing
from runtime.postgres import Connection, connection
from runtime.settings import Settings
from tests.deadline import until

TOPICS = ("controls", "corrections")
TIMEOUT_S = 80.0


class Recorder:
    """A handler that writes each record as a row, so that what took effect can be seen whatever happens after."""

    def __init__(self, settings: Settings) -> None:
        self._dsn = settings.postgres_dsn
        self.assignments: list[frozenset[int]] = []
        self.crash_after_apply = False
        self.stop_at: bytes | None = None
        self.ticks = 0
        self.blocked: threading.Event | None = None
        self.entered = threading.Event()
        with connection(self._dsn, autocommit=True) as conn:
            conn.execute(
                "CREATE TABLE IF NOT EXISTS seen (n serial, topic text, partition int, place bigint, value bytea)"
            )

    def assigned(self, conn: Connection, partitions: frozenset[int]) -> None:
        self.assignments.append(partitions)

    def apply(self, conn: Connection, partition: int, records: Sequence[Incoming]) -> None:
        for record in records:
            if record.value == self.stop_at:
                raise StopPartition(record, "unreadable")
            conn.execute(
                "INSERT INTO seen (topic, partition, place, value) VALUES (%s, %s, %s, %s)",
                (record.topic, partition, record.offset, record.value),
            )
        if self.crash_after_apply:
            raise RuntimeError("crash inside the transaction")
        if self.blocked is not None:
            self.entered.set()
            self.blocked.wait(TIMEOUT_S)

    def committed(self, conn: Connection, partition: int) -> None:
        """Nothing follows."""

    def tick(self, conn: Connection) -> None:
        self.ticks += 1
        conn.execute("SELECT 1")  # a handler's single statement must not leave a transaction open

    def values(self) -> list[bytes]:
        with connection(self._dsn, autocommit=True) as conn:
            return [bytes(row[0]) for row in conn.execute("SELECT value FROM seen ORDER BY n")]


class Running:
    """A loop in a thread; what ended it can be asked for."""

    def __init__(self, settings: Settings, handler: Recorder, batch_records: int = 100) -> None:
        self.health = Health()
        self.error: BaseException | None = None
        self._stop = threading.Event()
        subscription = Subscription(name="recorder", topics=TOPICS, batch_records=batch_records)
        loop = ConsumerLoop(settings.kafka, settings.postgres_dsn, subscription, handler, self.health)

        def run() -> None:
            try:
                loop.run(self._stop)
            except BaseException as error:
                self.error = error

        self._thread = threading.Thread(target=run)
        self._thread.start()

    def ended(self) -> bool:
        return not self._thread.is_alive()

    def until(self, probe: Callable[[], object], what: str) -> None:
        """Waits while the loop runs; what ended it before is the error."""

        def found() -> object:
            if self.error is not None:
                raise AssertionError(f"the loop ended before {what}") from self.error
            return probe()

        until(found, TIMEOUT_S, what)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(TIMEOUT_S)
        assert self.ended()


@contextmanager
def running(settings: Settings, handler: Recorder, batch_records: int = 100) -> Iterator[Running]:
    loop = Running(settings, handler, batch_records)
    try:
        yield loop
    finally:
        loop.stop()


@pytest.fixture
def settings(workspace: Mapping[str, str]) -> Settings:
    return Settings.read(workspace)


def send(settings: Settings, values: Sequence[bytes], topic: str = "controls", partition: int = 0) -> None:
    producer = EventProducer(settings.kafka)
    for value in values:
        producer.send(Outgoing(topic=topic, partition=partition, key=b"k", value=value))
    producer.flush()


def numbered(first: int, last: int) -> list[bytes]:
    return [str(n).encode() for n in range(first, last)]


def test_every_record_once_and_in_order_over_a_restart(settings: Settings) -> None:
    handler = Recorder(settings)
    send(settings, numbered(0, 50))
    with running(settings, handler, batch_records=7):
        until(lambda: len(handler.values()) == 50, TIMEOUT_S, "fifty records")
    send(settings, numbered(50, 60))
    with running(settings, handler) as loop:
        until(lambda: len(handler.values()) == 60, TIMEOUT_S, "sixty records")
        until(lambda: loop.health.report()[0], TIMEOUT_S, "health")
    assert handler.values() == numbered(0, 60)
    assert handler.assignments == [frozenset({0, 1})] * 2
    assert handler.ticks > 0


def test_a_crash_inside_the_transaction_leaves_nothing(settings: Settings) -> None:
    handler = Recorder(settings)
    handler.crash_after_apply = True
    send(settings, numbered(0, 5))
    with running(settings, handler) as loop:
        until(loop.ended, TIMEOUT_S, "the end of the loop")
    assert isinstance(loop.error, RuntimeError)
    assert handler.values() == []
    handler.crash_after_apply = False
    with running(settings, handler):
        until(lambda: len(handler.values()) == 5, TIMEOUT_S, "five records")
    assert handler.values() == numbered(0, 5)


def test_a_record_that_must_not_be_skipped_stops_its_partition_and_no_other(settings: Settings) -> None:
    handler = Recorder(settings)
    handler.stop_at = b"bad"
    send(settings, [b"a", b"bad", b"never"], partition=0)
    send(settings, [b"b", b"c"], partition=1)
    with running(settings, handler):
        until(lambda: len(handler.values()) == 3, TIMEOUT_S, "the readable records")
        send(settings, [b"d"], partition=1)
        send(settings, [b"nor this"], topic="corrections", partition=0)
        until(lambda: b"d" in handler.values(), TIMEOUT_S, "the other partition")
    assert sorted(handler.values()) == [b"a", b"b", b"c", b"d"]
    handler.stop_at = None
    with running(settings, handler):
        until(lambda: len(handler.values()) == 7, TIMEOUT_S, "everything once it is readable")
    assert [v for v in handler.values() if v in (b"a", b"bad", b"never")] == [b"a", b"bad", b"never"]


def test_a_partition_that_stopped_and_comes_back_is_read_and_stops_again(settings: Settings) -> None:
    first, second = Recorder(settings), Recorder(settings)
    first.stop_at = second.stop_at = b"bad"
    send(settings, [b"a", b"bad"], partition=0)
    with running(settings, first) as one:
        one.until(lambda: stopped_partitions() == 1, "the partition to stop")
        with running(settings, second) as other:
            other.until(lambda: second.assignments, "an assignment")
        one.until(lambda: len(first.assignments) > 2 and len(first.assignments[-1]) == 2, "both partitions again")
        one.until(lambda: stopped_partitions() == 1, "the partition to stop again")
    assert first.values() == [b"a"]


def stopped_partitions() -> float:
    [found] = [sample for family in telemetry.stopped_partitions.collect() for sample in family.samples]
    return found.value


def test_a_member_whose_offsets_were_moved_is_fenced(settings: Settings) -> None:
    handler = Recorder(settings)
    handler.blocked = threading.Event()
    send(settings, numbered(0, 3))
    with running(settings, handler) as loop:
        assert handler.entered.wait(TIMEOUT_S)
        move = sql.SQL("UPDATE consumer_offsets SET next_offset = 2 WHERE topic = 'controls' AND partition = 0")
        with connection(settings.postgres_dsn, autocommit=True) as conn:
            conn.execute(move)
        handler.blocked.set()
        until(loop.ended, TIMEOUT_S, "the end of the loop")
    assert isinstance(loop.error, Fenced)
    assert handler.values() == []


def put_offset(settings: Settings, following: int) -> None:
    """The database has read so far, whatever the broker has."""
    move = b"UPDATE consumer_offsets SET next_offset = %s WHERE topic = 'controls' AND partition = 0"
    with connection(settings.postgres_dsn, autocommit=True) as conn:
        conn.execute(move, [following])


def put_mark(settings: Settings, offset: int) -> None:
    """Another record than the log holds was read last, and lay at `offset`."""
    mark = b"UPDATE consumer_offsets SET last_record = %s WHERE topic = 'controls' AND partition = 0"
    with connection(settings.postgres_dsn, autocommit=True) as conn:
        conn.execute(mark, [offset.to_bytes(8, "big") + bytes(16)])


def offset(settings: Settings) -> int:
    kept = b"SELECT next_offset FROM consumer_offsets WHERE topic = 'controls' AND partition = 0"
    with connection(settings.postgres_dsn, autocommit=True) as conn:
        row = conn.execute(kept).fetchone()
    assert row is not None
    return int(row[0])


@pytest.fixture
def ends_lost() -> Callable[[], float]:
    """How many lost ends were counted since."""
    counter = telemetry.log_ends_lost.labels("controls")
    before = counter._value.get()
    return lambda: float(counter._value.get() - before)


def test_what_follows_a_lost_end_of_the_log_takes_effect(settings: Settings, ends_lost: Callable[[], float]) -> None:
    handler = Recorder(settings)
    send(settings, numbered(0, 3))
    with running(settings, handler) as loop:
        loop.until(lambda: len(handler.values()) == 3, "three records")
    put_offset(settings, 50)  # as if records 3 to 49 had been read and then lost with the broker's machine
    send(settings, [b"before the start"])
    with running(settings, handler) as loop:
        loop.until(lambda: b"before the start" in handler.values(), "what was written before anybody looked")
        send(settings, [b"after it"])
        loop.until(lambda: b"after it" in handler.values(), "what was written since")
    assert handler.values()[3:] == [*numbered(0, 3), b"before the start", b"after it"]
    assert (ends_lost(), offset(settings)) == (1, 5)


def test_a_lost_end_is_seen_when_more_was_written_than_lost(settings: Settings, ends_lost: Callable[[], float]) -> None:
    handler = Recorder(settings)
    send(settings, numbered(0, 3))
    with running(settings, handler) as loop:
        loop.until(lambda: len(handler.values()) == 3, "three records")
    # As if another record 2 had been read, and lost, and the one there written before anybody looked.
    put_mark(settings, 2)
    send(settings, numbered(3, 6))
    send(settings, numbered(10, 12), partition=1)
    with running(settings, handler) as loop:
        loop.until(lambda: len(handler.values()) == 11, "all that is there")
    with running(settings, handler) as loop:
        send(settings, numbered(6, 7))
        loop.until(lambda: b"6" in handler.values(), "what came after another start")
    assert [value for value in handler.values()[3:] if value not in (b"10", b"11")] == numbered(0, 7)
    assert (ends_lost(), offset(settings)) == (1, 7)


def test_a_mark_that_an_older_version_left_behind_says_nothing(
    settings: Settings, ends_lost: Callable[[], float]
) -> None:
    handler = Recorder(settings)
    send(settings, numbered(0, 3))
    with running(settings, handler) as loop:
        loop.until(lambda: len(handler.values()) == 3, "three records")
    put_mark(settings, 1)  # the offset has moved on without it
    send(settings, numbered(3, 6))
    with running(settings, handler) as loop:
        loop.until(lambda: len(handler.values()) == 6, "the rest")
    assert (handler.values(), ends_lost()) == (numbered(0, 6), 0)


def test_a_place_that_is_gone_ends_a_loop_in_its_work(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = Recorder(settings)
    send(settings, numbered(0, 3))
    with running(settings, handler) as loop:
        loop.until(lambda: len(handler.values()) == 3, "three records")
    put_offset(settings, 50)
    monkeypatch.setattr("runtime.consumer.watermarks", lambda *_: (0, 50))  # the end is lost just after the look
    with running(settings, handler) as loop:
        until(loop.ended, TIMEOUT_S, "the end of the loop")
    assert isinstance(loop.error, Unavailable)
    assert handler.values() == numbered(0, 3)


def test_what_has_expired_unread_is_passed_over(settings: Settings) -> None:
    handler = Recorder(settings)
    send(settings, numbered(0, 3))
    with running(settings, handler) as loop:
        loop.until(lambda: len(handler.values()) == 3, "three records")
    send(settings, numbered(3, 9))
    place = TopicPartition(settings.kafka.topic("controls"), 0, 6)
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap})
    admin.delete_records([place])[place].result(TIMEOUT_S)
    with running(settings, handler) as loop:
        loop.until(lambda: len(handler.values()) == 6, "what is left")
    assert handler.values() == [*numbered(0, 3), *numbered(6, 9)]


def test_a_second_member_takes_over_half_without_repeating(settings: Settings) -> None:
    first, second = Recorder(settings), Recorder(settings)
    send(settings, numbered(0, 20), partition=0)
    send(settings, numbered(20, 40), partition=1)
    with running(settings, first) as one:
        one.until(lambda: len(first.values()) == 40, "all records")
        with running(settings, second) as other:
            other.until(lambda: second.assignments, "an assignment")
            one.until(lambda: len(first.assignments[-1]) == 1, "half of the partitions")
            send(settings, numbered(40, 50), partition=0)
            send(settings, numbered(50, 60), partition=1)
            one.until(lambda: len(first.values()) == 60, "the rest")
    values = first.values()
    assert sorted(values, key=int) == numbered(0, 60)
    assert first.assignments[-1] | second.assignments[-1] == {0, 1}
