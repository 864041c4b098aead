"""The next batch: four to one between the lanes, oldest first, suspects alone, nobody starved."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from schemas.values import Lane
from streams.speech.lanes import INTERACTIVE_TO_BATCH, Waiting, choose, in_turn
from streams.speech.offsets import Position


def waiting(number: int, lane: Lane, since_ms: int, suspect: bool = False) -> Waiting:
    return Waiting(position=Position("chunks", 0, number), lane=lane, since_ms=since_ms, suspect=suspect)


def of(lane: Lane, count: int, first: int = 0) -> list[Waiting]:
    return [waiting(first + number, lane, first + number) for number in range(count)]


def letters(chunks: Sequence[Waiting], positions: Sequence[Position]) -> str:
    lanes = {chunk.position: chunk.lane for chunk in chunks}
    return "".join("I" if lanes[position] is Lane.INTERACTIVE else "b" for position in positions)


@st.composite
def backlogs(draw: st.DrawFn) -> list[Waiting]:
    rows = st.tuples(st.sampled_from(list(Lane)), st.integers(0, 50), st.booleans())
    return [waiting(number, *row) for number, row in enumerate(draw(st.lists(rows, max_size=40)))]


def drained(chunks: Sequence[Waiting], limit: int) -> list[tuple[Position, ...]]:
    """The batches until nothing waits."""
    left, run, batches = list(chunks), 0, []
    while left:
        choice = choose(left, run, limit)
        run = choice.interactive_run
        batches.append(choice.positions)
        left = [chunk for chunk in left if chunk.position not in choice.positions]
    return batches


def test_one_of_five_is_of_the_batch_lane_while_both_wait() -> None:
    chunks = of(Lane.INTERACTIVE, 12) + of(Lane.BATCH, 6, first=100)
    assert letters(chunks, choose(chunks, 0, 15).positions) == "IIIIbIIIIbIIIIb"


def test_the_turn_goes_on_from_batch_to_batch() -> None:
    chunks = of(Lane.INTERACTIVE, 12) + of(Lane.BATCH, 6, first=100)
    assert "".join(letters(chunks, batch) for batch in drained(chunks, 3)) == "IIIIbIIIIbIIIIbbbb"


def test_a_lane_alone_has_every_turn() -> None:
    chunks = of(Lane.BATCH, 3)
    assert letters(chunks, choose(chunks, 0, 8).positions) == "bbb"


def test_an_interactive_chunk_goes_before_older_ones_of_the_batch_lane() -> None:
    chunks = [*of(Lane.BATCH, 5), waiting(9, Lane.INTERACTIVE, 1_000)]
    assert letters(chunks, choose(chunks, 0, 2).positions) == "Ib"


def test_a_suspect_waits_for_a_batch_of_its_own() -> None:
    chunks = [waiting(0, Lane.BATCH, 0), waiting(1, Lane.BATCH, 1, suspect=True), waiting(2, Lane.BATCH, 2)]
    assert [[position.offset for position in batch] for batch in drained(chunks, 8)] == [[0], [1], [2]]


@given(backlogs(), st.integers(0, INTERACTIVE_TO_BATCH), st.integers(1, 10))
def test_a_batch_is_never_empty_while_something_waits(chunks: list[Waiting], run: int, limit: int) -> None:
    chosen = choose(chunks, run, limit).positions
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


@given(backlogs(), st.integers(1, 10))
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
