"""The next batch: four to one between the lanes, oldest first, suspects alone, nobody starved."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from schemas.values import Lane
from streams.speech.lanes import BATCHES_BEFORE_GUILTY, INTERACTIVE_TO_BATCH, Turns, Waiting, after, choose, in_turn
from streams.speech.offsets import Position


def waiting(number: int, lane: Lane, since_ms: int, tries: int = 0) -> Waiting:
    return Waiting(position=Position("chunks", 0, number), lane=lane, since_ms=since_ms, tries=tries)


def of(lane: Lane, count: int, first: int = 0) -> list[Waiting]:
    return [waiting(first + number, lane, first + number) for number in range(count)]


def letters(chunks: Sequence[Waiting], positions: Sequence[Position]) -> str:
    lanes = {chunk.position: chunk.lane for chunk in chunks}
    return "".join("I" if lanes[position] is Lane.INTERACTIVE else "b" for position in positions)


@st.composite
def backlogs(draw: st.DrawFn, most_tries: int = 3) -> list[Waiting]:
    rows = st.tuples(st.sampled_from(list(Lane)), st.integers(0, 50), st.integers(0, most_tries))
    return [waiting(number, *row) for number, row in enumerate(draw(st.lists(rows, max_size=40)))]


def drained(chunks: Sequence[Waiting], limit: int) -> list[tuple[Position, ...]]:
    """The batches until nothing waits."""
    left, turns, batches = list(chunks), Turns(), []
    by_position = {chunk.position: chunk for chunk in chunks}
    while left:
        chosen = choose(left, turns, limit)
        left = [chunk for chunk in left if chunk.position not in chosen]
        batch = [by_position[position] for position in chosen]
        turns = after(batch, turns, guilty_wait=any(chunk.guilty for chunk in left))
        batches.append(chosen)
    return batches


def test_one_of_five_is_of_the_batch_lane_while_both_wait() -> None:
    chunks = of(Lane.INTERACTIVE, 12) + of(Lane.BATCH, 6, first=100)
    assert letters(chunks, choose(chunks, Turns(), 15)) == "IIIIbIIIIbIIIIb"


def test_the_turn_goes_on_from_batch_to_batch() -> None:
    chunks = of(Lane.INTERACTIVE, 12) + of(Lane.BATCH, 6, first=100)
    assert "".join(letters(chunks, batch) for batch in drained(chunks, 3)) == "IIIIbIIIIbIIIIbbbb"


def test_a_lane_alone_has_every_turn() -> None:
    chunks = of(Lane.BATCH, 3)
    assert letters(chunks, choose(chunks, Turns(), 8)) == "bbb"


def test_an_interactive_chunk_goes_before_older_ones_of_the_batch_lane() -> None:
    chunks = [*of(Lane.BATCH, 5), waiting(9, Lane.INTERACTIVE, 1_000)]
    assert letters(chunks, choose(chunks, Turns(), 2)) == "Ib"


def test_a_suspect_waits_for_a_batch_of_its_own() -> None:
    chunks = [waiting(0, Lane.BATCH, 0), waiting(1, Lane.BATCH, 1, tries=1), waiting(2, Lane.BATCH, 2)]
    assert [[position.offset for position in batch] for batch in drained(chunks, 8)] == [[0], [1], [2]]


def test_a_guilty_chunk_lets_the_others_go_first() -> None:
    chunks = [waiting(0, Lane.INTERACTIVE, 0, tries=2), *of(Lane.BATCH, 3, first=1), waiting(9, Lane.BATCH, 9, tries=1)]
    assert [[position.offset for position in batch] for batch in drained(chunks, 8)] == [[1, 2, 3], [9], [0]]


def test_a_guilty_chunk_has_its_turn_where_the_others_never_end() -> None:
    guilty, turns, batches = waiting(0, Lane.BATCH, 0, tries=2), Turns(), 0
    while True:
        fresh = of(Lane.INTERACTIVE, 4, first=1 + 4 * batches)
        chosen = choose([guilty, *fresh], turns, 4)
        if guilty.position in chosen:
            break
        turns = after(fresh, turns, guilty_wait=True)
        batches += 1
    assert batches == BATCHES_BEFORE_GUILTY
    assert after([guilty], turns, guilty_wait=False).before_guilty == 0


@given(backlogs(), st.integers(0, INTERACTIVE_TO_BATCH), st.integers(1, 10))
def test_a_batch_is_never_empty_while_something_waits(chunks: list[Waiting], run: int, limit: int) -> None:
    chosen = choose(chunks, Turns(interactive_run=run), limit)
    assert len(chosen) <= limit
    assert bool(chosen) == bool(chunks)


@given(backlogs(), st.integers(1, 10))
def test_every_chunk_is_chosen_once(chunks: list[Waiting], limit: int) -> None:
    chosen = [position for batch in drained(chunks, limit) for position in batch]
    assert sorted(chosen) == sorted(chunk.position for chunk in chunks)


@given(backlogs(), st.integers(1, 10))
def test_a_suspect_is_alone(chunks: list[Waiting], limit: int) -> None:
    suspects = {chunk.position for chunk in chunks if chunk.suspect}
    assert all(len(batch) == 1 for batch in drained(chunks, limit) if suspects & set(batch))


@given(backlogs(most_tries=1), st.integers(1, 10))
def test_within_a_lane_the_oldest_goes_first(chunks: list[Waiting], limit: int) -> None:
    by_position = {chunk.position: chunk for chunk in chunks}
    order = [by_position[position] for batch in drained(chunks, limit) for position in batch]
    for lane in Lane:
        ages = [chunk.since_ms for chunk in order if chunk.lane is lane]
        assert ages == sorted(ages)


@given(backlogs(), st.integers(0, INTERACTIVE_TO_BATCH))
def test_nobody_waits_for_more_than_four_of_the_other_lane(chunks: list[Waiting], run: int) -> None:
    lanes = [chunk.lane for chunk in in_turn(chunks, run)]
    if Lane.BATCH not in lanes:
        return
    last = max(number for number, lane in enumerate(lanes) if lane is Lane.BATCH)
    places = [-1, *(number for number, lane in enumerate(lanes[: last + 1]) if lane is Lane.BATCH)]
    assert all(after - before - 1 <= INTERACTIVE_TO_BATCH for before, after in pairwise(places))
