"""Which of the waiting chunks the model takes next.

In: the waiting chunks with lane, age and whether they are suspected of a crash. Out: the next batch.
Pure. Interactive chunks go before those of the batch lane, four to one, so that nobody starves; within a lane the
oldest goes first. A suspect runs alone: when it takes its process down again, nobody else is blamed.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from schemas.values import Lane
from streams.speech.offsets import Position

INTERACTIVE_TO_BATCH = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A chunk that waits: `since_ms` is when it was put on its topic."""

    position: Position
    lane: Lane
    since_ms: int
    suspect: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The next batch, and how many interactive chunks were taken since one of the batch lane."""

    positions: tuple[Position, ...]
    interactive_run: int


def choose(waiting: Iterable[Waiting], interactive_run: int, limit: int) -> Choice:
    """At most `limit` chunks in the order of `in_turn`; a suspect ends the batch before it, or is all of it."""
    chosen: list[Position] = []
    for chunk in in_turn(waiting, interactive_run):
        if len(chosen) == limit or (chosen and chunk.suspect):
            break
        chosen.append(chunk.position)
        interactive_run = _after(chunk.lane, interactive_run)
        if chunk.suspect:
            break
    return Choice(positions=tuple(chosen), interactive_run=interactive_run)


def in_turn(waiting: Iterable[Waiting], interactive_run: int) -> Iterator[Waiting]:
    """All that wait, in the order in which they would be taken one by one."""
    queues: dict[Lane, deque[Waiting]] = {lane: deque() for lane in Lane}
    for chunk in sorted(waiting, key=lambda chunk: (chunk.since_ms, chunk.position)):
        queues[chunk.lane].append(chunk)
    while lane := _next_lane(queues, interactive_run):
        yield queues[lane].popleft()
        interactive_run = _after(lane, interactive_run)


def _next_lane(queues: Mapping[Lane, deque[Waiting]], interactive_run: int) -> Lane | None:
    if not queues[Lane.BATCH]:
        return Lane.INTERACTIVE if queues[Lane.INTERACTIVE] else None
    turn_of_batch = interactive_run >= INTERACTIVE_TO_BATCH or not queues[Lane.INTERACTIVE]
    return Lane.BATCH if turn_of_batch else Lane.INTERACTIVE


def _after(lane: Lane, interactive_run: int) -> int:
    return 0 if lane is Lane.BATCH else min(interactive_run + 1, INTERACTIVE_TO_BATCH)
