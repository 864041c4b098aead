"""The chunks that wait for the model, and their audio on its way.

In: chunks as they are read. Out: the next batch, its audio there. Holds no more audio than a few batches need.
Knows no Kafka and no model; which chunk comes next is decided by `lanes`.
"""

import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice

from runtime.kafka import Incoming
from schemas.records import ChunkCut
from schemas.topics import CHUNKS_BATCH
from schemas.values import Lane
from streams.speech.audio import Audio, AudioFetcher, Samples
from streams.speech.lanes import Turns, Waiting, after, choose, in_turn
from streams.speech.offsets import Place, Position

# Audio is fetched for this many batches ahead.
AHEAD_BATCHES = 3
# A batch that could be fuller waits this long for audio on its way.
GATHER_S = 0.05


@dataclass(slots=True, kw_only=True, eq=False)
class Held:
    """A chunk that is read and not answered."""

    incoming: Incoming
    position: Position
    cut: ChunkCut
    tries: int = 0
    suspicion: str = ""
    audio: Future[Audio] | None = None

    @property
    def ready(self) -> bool:
        """Whether the fetch of its audio is over."""
        return self.audio is not None and self.audio.done()


class Backlog:
    """Chunks by position. Not safe to share between threads."""

    def __init__(self, audio: AudioFetcher, batch_size: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._audio = audio
        self._batch_size = batch_size
        self._clock = clock
        self._held: dict[Position, Held] = {}
        self._waiting: dict[Position, Waiting] = {}
        self._fetching: dict[Position, Held] = {}
        self._turns = Turns()
        self._gathering_since: float | None = None

    def __len__(self) -> int:
        return len(self._held)

    def add(self, chunks: Collection[Held]) -> None:
        """These wait now; the audio of those whose turn is near is fetched."""
        for chunk in chunks:
            self._held[chunk.position] = chunk
            self._waiting[chunk.position] = _waiting(chunk)
        if chunks:
            self._fetch_ahead()

    def remove(self, position: Position) -> None:
        """This one waits no longer, and the next takes its place among those whose audio is fetched."""
        self._forget(position)
        self._fetch_ahead()

    def drop(self, places: Collection[Place]) -> None:
        """The chunks of these partitions are somebody else's."""
        for position in [position for position in self._held if position.place in places]:
            audio = self._held[position].audio
            self._forget(position)
            if audio:
                audio.cancel()
        self._fetch_ahead()

    def arrived(self) -> list[Held]:
        """The chunks whose fetch ended since the last call, however it ended."""
        found = [chunk for chunk in self._fetching.values() if chunk.ready]
        for chunk in found:
            del self._fetching[chunk.position]
        return found

    def next_batch(self) -> list[Held]:
        """The chunks to run now, which wait until `take`; none while it pays to wait a moment for audio."""
        return [self._held[position] for position in self._choice()]

    def take(self, batch: Collection[Held]) -> None:
        """The batch runs: it no longer waits, and counts for the lanes' turns."""
        chosen = [self._waiting[chunk.position] for chunk in batch]
        for chunk in batch:
            self._forget(chunk.position)
        guilty_wait = any(chunk.guilty for chunk in self._waiting.values())
        self._turns = after(chosen, self._turns, guilty_wait=guilty_wait)
        self._gathering_since = None
        self._fetch_ahead()

    def _forget(self, position: Position) -> None:
        del self._held[position], self._waiting[position]
        self._fetching.pop(position, None)

    def _choice(self) -> tuple[Position, ...]:
        best = self._choice_of(self._waiting.values())
        if all(map(self._playable, best)):
            return best
        now = self._clock()
        self._gathering_since = self._gathering_since or now
        if now - self._gathering_since < GATHER_S:
            return ()
        return self._choice_of([chunk for chunk in self._waiting.values() if self._playable(chunk.position)])

    def _playable(self, position: Position) -> bool:
        """Whether its audio is there; a fetch may end in vain after `arrived` was asked and before this."""
        chunk = self._held[position]
        return chunk.ready and samples(chunk) is not None

    def _choice_of(self, chunks: Collection[Waiting]) -> tuple[Position, ...]:
        return choose(chunks, self._turns, self._batch_size)

    def _fetch_ahead(self) -> None:
        ahead = AHEAD_BATCHES * self._batch_size
        for waiting in islice(in_turn(self._waiting.values(), self._turns.interactive_run), ahead):
            chunk = self._held[waiting.position]
            if chunk.audio is None:
                chunk.audio = self._audio.fetch(chunk.cut.object)
                self._fetching[chunk.position] = chunk


def _waiting(chunk: Held) -> Waiting:
    lane = Lane.BATCH if chunk.incoming.topic == CHUNKS_BATCH else Lane.INTERACTIVE
    return Waiting(position=chunk.position, lane=lane, since_ms=chunk.incoming.timestamp_ms, tries=chunk.tries)


def samples(chunk: Held) -> Samples | None:
    """The audio of a chunk that is ready, if there is any; raises StoreAway."""
    found = chunk.audio.result() if chunk.audio else None
    return found if isinstance(found, Samples) else None
