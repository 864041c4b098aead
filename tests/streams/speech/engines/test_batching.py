"""Batches: rows alike together, results in order, and half the size when memory runs out."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.speech.engines.batching import GROWS_AFTER_S, DeviceMemory, in_batches, in_groups


@given(st.lists(st.integers(0, 100), max_size=60), st.integers(1, 9))
def test_results_come_in_the_order_of_the_rows(rows: list[int], size: int) -> None:
    def work(batch: Sequence[int]) -> list[int]:
        assert 1 <= len(batch) <= size and len({row % 3 for row in batch}) == 1
        return [row * 2 for row in batch]

    assert in_groups(rows, lambda row: row % 3, size, work) == [row * 2 for row in rows]


@given(st.integers(0, 40), st.integers(1, 20), st.integers(1, 20))
def test_a_batch_too_large_is_halved(rows: int, size: int, room: int) -> None:
    def work(batch: Sequence[int]) -> Sequence[int]:
        if len(batch) > room:
            raise RuntimeError("CUDA failed with error out of memory")
        return batch

    assert in_batches(range(rows), size, work) == list(range(rows))


def test_a_size_that_did_not_fit_is_remembered_and_grows_again() -> None:
    now, sizes = [0.0], []
    memory = DeviceMemory(lambda: now[0])

    def run(room: int) -> list[int]:
        def work(batch: Sequence[int]) -> Sequence[int]:
            sizes.append(len(batch))
            if len(batch) > room:
                raise MemoryError
            return batch

        sizes.clear()
        assert in_batches(range(16), 8, work, memory) == list(range(16))
        return list(sizes)

    assert run(room=2) == [8, 4] + 8 * [2]
    assert run(room=8) == 8 * [2]
    now[0] = GROWS_AFTER_S
    assert run(room=8) == 4 * [4]
    now[0] = 100 * GROWS_AFTER_S
    assert run(room=8) == [8, 8]
    assert memory.shortages == 2
    assert memory.size("other work", 8) == 8


def test_one_row_too_large_is_an_error() -> None:
    def work(batch: Sequence[int]) -> Sequence[int]:
        raise MemoryError

    with pytest.raises(MemoryError):
        in_batches([1, 2], 2, work)


def test_other_errors_are_not_retried() -> None:
    calls = []

    def work(batch: Sequence[int]) -> Sequence[int]:
        calls.append(len(batch))
        raise RuntimeError("invalid argument")

    with pytest.raises(RuntimeError):
        in_batches([1, 2], 2, work)
    assert calls == [2]
