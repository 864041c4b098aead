"""Where each partition is read on, and whether the log still holds what was read of it last.

In: rows of `consumer_offsets`, records as they come. Out: the records that follow, offsets moved by compare-and-set.

A broker that lost its end writes other records at offsets that were read before. So a partition is read from one record
before its offset, and that one must be the record that was read: where it is another, the partition has `lost` its end.
Compaction or age may have taken it away; then nothing is known, and nothing is assumed.
Knows no consumer and no record's meaning.
"""

import hashlib
import struct
from collections.abc import Iterable, Mapping, Sequence

from runtime.errors import Fenced
from runtime.kafka import Incoming, Place
from runtime.postgres import Connection, load_sql
from runtime.telemetry import logger

_DIGEST_BYTES = 16
_OFFSET = struct.Struct(">q")

log = logger(__name__)


class LogEndLost(Exception):
    """Another record lies where one was read: the end of this log was lost and has been written anew."""


class Positions:
    """The partitions that are ours; `consumer` is who owns the offsets."""

    def __init__(self, consumer: str) -> None:
        self._consumer = consumer
        self._sql = load_sql("runtime")
        self._next: dict[Place, int] = {}
        self._last: dict[Place, bytes] = {}  # marks of records that were read last and not yet seen again
        self._lost: set[Place] = set()

    @property
    def next(self) -> Mapping[Place, int]:
        """The offset that each partition is at."""
        return self._next

    def load(self, conn: Connection, places: Iterable[Place]) -> None:
        """These are ours now, and no others; a new one begins at 0."""
        mine = set(places)
        for topic, partition in mine:
            conn.execute(self._sql["start_offset"], self._row(topic, partition))
        topics = sorted({topic for topic, _ in mine})
        rows = conn.execute(self._sql["next_offsets"], {"consumer": self._consumer, "topics": topics}).fetchall()
        rows = [((topic, partition), *rest) for topic, partition, *rest in rows if (topic, partition) in mine]
        self._next = {place: following for place, following, _ in rows}
        # A process that knows no marks may have moved an offset since and left the mark as it was.
        self._last = {place: mark for place, following, mark in rows if mark and _offset(mark) == following - 1}

    def forget(self) -> None:
        """None is ours."""
        self._next, self._last = {}, {}

    def lost(self, place: Place, high: int) -> bool:
        """Whether a log whose next offset is `high` lacks what was read of it."""
        return place in self._lost or self._next[place] > high

    def first_to_read(self, place: Place, low: int) -> int:
        """Where to read from, when `low` is the first offset that is left: what was read last comes once more."""
        following = self._next[place]
        return max(low, following - 1 if place in self._last else following)

    def following(self, records: Sequence[Incoming]) -> list[Incoming]:
        """Without what a rebalance inside a poll left over: partitions no longer ours, offsets read once more.

        Raises LogEndLost; then `lost` says of which.
        """
        expected = dict(self._next)
        fresh, repeats = [], 0
        for record in records:
            place = (record.topic, record.partition)
            if place in expected and record.offset >= expected[place]:
                self._last.pop(place, None)  # it is not there any more
                expected[place] = record.offset + 1
                fresh.append(record)
            elif not self._is_last(place, record):
                repeats += 1
        if repeats:
            log.info("records read twice were dropped", action="consumer.repeats", count=repeats)
        return fresh

    def _is_last(self, place: Place, record: Incoming) -> bool:
        """Whether it is the one that was read last, which is seen again but once."""
        mark = self._last.get(place)
        if mark is None or record.offset != _offset(mark):
            return False
        if _mark(record) != mark:
            self._lost.add(place)
            raise LogEndLost(f"{place[0]}/{place[1]}@{record.offset}")
        del self._last[place]
        return True

    def advance(self, conn: Connection, records: Iterable[Incoming]) -> dict[Place, int]:
        """Moves past these in the open transaction; `settle` what it answers when that is committed. May be Fenced."""
        last = {(record.topic, record.partition): record for record in records}
        moved = {place: record.offset + 1 for place, record in last.items()}
        for place, following in moved.items():
            self.move(conn, place, following, _mark(last[place]))
        return moved

    def settle(self, moved: Mapping[Place, int]) -> None:
        """It is committed."""
        self._next |= moved

    def read_again(self, conn: Connection, place: Place, low: int) -> None:
        """Goes back to the first record that is left."""
        self.move(conn, place, low, None)
        self._next[place] = low
        self._last.pop(place, None)
        self._lost.discard(place)

    def move(self, conn: Connection, place: Place, following: int, mark: bytes | None) -> None:
        """Compare-and-set; raises Fenced where another member has moved it."""
        change = {"next": following, "last": mark, "expected": self._next[place]}
        if conn.execute(self._sql["move_offset"], self._row(*place) | change).rowcount != 1:
            raise Fenced(f"offset of {place[0]}/{place[1]} was moved by another member")

    def _row(self, topic: str, partition: int) -> dict[str, object]:
        return {"consumer": self._consumer, "topic": topic, "partition": partition}


def _mark(record: Incoming) -> bytes:
    """Its offset, and a digest of what makes it the record that it is."""
    found = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for part in (str(record.timestamp_ms).encode(), record.key, record.value):
        found.update(b"-" if part is None else b"+%d:" % len(part) + part)
    return _OFFSET.pack(record.offset) + found.digest()


def _offset(mark: bytes) -> int:
    return int(_OFFSET.unpack_from(mark)[0])
