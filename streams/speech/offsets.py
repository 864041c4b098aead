"""Which records of a partition are open, and from where a restart must read again.

In: offsets as they are read, tried and answered. Out: the commit: the contiguous prefix with the tries beside it.
Pure. Knows no Kafka client and no record's content.
"""

from collections.abc import Iterable
from typing import NamedTuple

from streams.speech import tries


class Place(NamedTuple):
    """A partition; the topic is without prefix."""

    topic: str
    partition: int


class Position(NamedTuple):
    """A record's place in the log."""

    topic: str
    partition: int
    offset: int

    @property
    def place(self) -> Place:
        """The partition it lies in."""
        return Place(self.topic, self.partition)


class Commit(NamedTuple):
    """What a partition commits: the next offset to read, and its metadata."""

    offset: int
    metadata: str


class Ledger:
    """The open offsets of one partition and their tries, while it is ours."""

    def __init__(self, committed: Commit | None = None) -> None:
        self._next = committed.offset if committed else None
        self._tries = tries.decode(committed.metadata, committed.offset) if committed else {}
        self._open: set[int] = set()
        self._saved = committed

    @property
    def open(self) -> int:
        """How many records are read and not answered."""
        return len(self._open)

    @property
    def span(self) -> int:
        """How many records a restart would read again, answered ones included."""
        return 0 if self._next is None else self._next - self._first()

    def tries(self, offset: int) -> int:
        """How often the record was handed to a model without an answer."""
        return self._tries.get(offset, 0)

    def opened(self, offset: int) -> None:
        """The record was read."""
        self._open.add(offset)
        self._next = max(offset + 1, self._next or 0)

    def answered(self, offset: int) -> None:
        """The record has its answer, or needs none."""
        self._open.discard(offset)
        self._tries.pop(offset, None)

    def tried(self, offsets: Iterable[int]) -> None:
        """The records are about to be handed to a model."""
        for offset in offsets:
            self._tries[offset] = self.tries(offset) + 1

    def untried(self, offsets: Iterable[int]) -> None:
        """Takes a try back that was not the records' fault."""
        for offset in offsets:
            self._tries[offset] = max(0, self.tries(offset) - 1)

    def behind(self, end: int) -> int:
        """How many records up to the partition's `end` are not answered."""
        return max(0, end - self._first())

    def due(self) -> Commit | None:
        """What to commit, or None while it is what is committed already."""
        if self._next is None:
            return None
        first = self._first()
        commit = Commit(first, tries.encode(self._tries, first))
        return None if commit == self._saved else commit

    def saved(self, commit: Commit) -> None:
        """The broker has this commit."""
        self._saved = commit

    def _first(self) -> int:
        return min(self._open) if self._open else self._next or 0
