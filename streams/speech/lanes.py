"""Which of the waiting chunks the model takes next.

In: the waiting chunks with lane, age and how often each was tried in vain. Out: the next batch.
Pure. Interactive chunks go before those of the batch lane, four to one, so that nobody starves; within a lane the
oldest goes first. A chunk of a batch that took its process down is a suspect and runs alone: when it does so again,
nobody else is blamed. From then on it lets the others go first, so that its further tries delay nobody twice.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from schemas.values import Lane
from streams.speech.offsets import Position

INTERACTIVE_TO_BATCH = 4
# Tries after which it was the chunk itself and not a neighbour: the first may have been a batch, the second was not.
GUILTY_TRIES = 2
# A guilty chunk runs when nobody else waits, or when so many batches went before it.
BATCHES_BEFORE_GUILTY = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A chunk that waits: `since_ms` is when it was put on its topic."""

    position: Position
    lane: Lane
    since_ms: int
    tries: int = 0

    @property
    def suspect(self) -> bool:
        """Whether it was in a batch that took its process down."""
        return self.tries > 0

    @property
    def guilty(self) -> bool:
        """Whether it took its process down alone."""
        return self.tries >= GUILTY_TRIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """What went before: interactive chunks since one of the batch lane, batches since a guilty chunk had to wait."""

    interactive_run: int = 0
    before_guilty: int = 0


def choose(waiting: Iterable[Waiting], turns: Turns, limit: int) -> tuple[Position, ...]:
    """At most `limit` chunks in the order of `in_turn`; a suspect ends the batch before it, or is all of it."""
    chunks = list(waiting)
    guilty = [chunk for chunk in chunks if chunk.guilty]
    others = [chunk for chunk in chunks if not chunk.guilty]
    if guilty and (not others or turns.before_guilty >= BATCHES_BEFORE_GUILTY):
        return (min(guilty, key=lambda chunk: (chunk.tries, chunk.since_ms, chunk.position)).position,)
    chosen: list[Position] = []
    for chunk in in_turn(others, turns.interactive_run):
        if len(chosen) == limit or (chosen and chunk.suspect):
            break
        chosen.append(chunk.position)
        if chunk.suspect:
            break
    return tuple(chosen)


def after(batch: Iterable[Waiting], turns: Turns, *, guilty_wait: bool) -> Turns:
    """The turns after a batch; `guilty_wait` says whether it left a guilty chunk waiting."""
    run = turns.interactive_run
    for chunk in batch:
        if chunk.guilty:
            return Turns(interactive_run=run, before_guilty=0)
        run = _after(chunk.lane, run)
    return Turns(interactive_run=run, before_guilty=turns.before_guilty + 1 if guilty_wait else 0)


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
