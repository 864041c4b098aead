"""Rows that may share a batch, and batches that fit the device.

In: rows and what they must have in common. Out: results in the order of the rows. Pure but for the work it calls.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

Row = TypeVar("Row")
Result = TypeVar("Result")

_OUT_OF_MEMORY = ("out of memory", "cuda_error_out_of_memory", "cublas_status_alloc_failed")


def in_groups(
    rows: Sequence[Row],
    key: Callable[[Row], Hashable],
    size: int,
    work: Callable[[Sequence[Row]], Sequence[Result]],
) -> list[Result]:
    """`work` on batches of at most `size` rows with equal keys; one result per row, in the order of `rows`."""
    groups: dict[Hashable, list[int]] = {}
    for place, row in enumerate(rows):
        groups.setdefault(key(row), []).append(place)
    found: dict[int, Result] = {}
    for places in groups.values():
        results = in_batches([rows[place] for place in places], size, work)
        found.update(zip(places, results, strict=True))
    return [found[place] for place in range(len(rows))]


def in_batches(rows: Sequence[Row], size: int, work: Callable[[Sequence[Row]], Sequence[Result]]) -> list[Result]:
    """`work` on at most `size` rows at a time, and on half as many whenever the device's memory does not suffice."""
    results: list[Result] = []
    while len(results) < len(rows):
        batch = rows[len(results) : len(results) + size]
        try:
            results.extend(work(batch))
        except (RuntimeError, MemoryError) as error:
            if len(batch) == 1 or not is_out_of_memory(error):
                raise
            size = len(batch) // 2
    return results


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the device ran out of memory: torch has a class for it, CTranslate2 only a text."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(mark in text for mark in _OUT_OF_MEMORY)
