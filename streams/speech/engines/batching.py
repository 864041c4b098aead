"""Rows that may share a batch, and batches that fit the device.

In: rows and what they must have in common. Out: results in the order of the rows.
What did not fit the device once is remembered by the process: the smaller size stays for a while, then grows again.
"""

import sys
import time
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

Row = TypeVar("Row")
Result = TypeVar("Result")

GROWS_AFTER_S = 300.0  # a size that was halved is doubled after so long, and again after as long

_OUT_OF_MEMORY = ("out of memory", "cuda_error_out_of_memory", "cublas_status_alloc_failed")


class DeviceMemory:
    """Which batches of each kind of work the device had room for."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sizes: dict[str, tuple[int, float]] = {}
        self.shortages = 0

    def size(self, work: str, wanted: int) -> int:
        """The largest batch to try now, at most `wanted`."""
        if work not in self._sizes:
            return wanted
        size, since = self._sizes[work]
        grown = size << min(wanted.bit_length(), int((self._clock() - since) / GROWS_AFTER_S))
        return min(wanted, grown)

    def short(self, work: str, size: int) -> int:
        """A batch of so many rows did not fit; how many to try instead."""
        self.shortages += 1
        self._sizes[work] = (max(1, size // 2), self._clock())
        return self._sizes[work][0]


MEMORY = DeviceMemory()


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


def in_batches(
    rows: Sequence[Row],
    size: int,
    work: Callable[[Sequence[Row]], Sequence[Result]],
    memory: DeviceMemory = MEMORY,
) -> list[Result]:
    """`work` on at most `size` rows at a time, and on half as many whenever the device's memory does not suffice."""
    name = getattr(work, "__qualname__", type(work).__name__)
    results: list[Result] = []
    while len(results) < len(rows):
        size = memory.size(name, size)
        batch = rows[len(results) : len(results) + size]
        try:
            results.extend(work(batch))
        except (RuntimeError, MemoryError) as error:
            if len(batch) == 1 or not is_out_of_memory(error):
                raise
            size = memory.short(name, len(batch))
            _release()
    return results


def _release() -> None:
    """What torch keeps of the device for itself is free for the next try."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the device ran out of memory: torch has a class for it, CTranslate2 only a text."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(mark in text for mark in _OUT_OF_MEMORY)
