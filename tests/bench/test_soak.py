"""When a process counts as flat."""

import os
from collections.abc import Sequence

import pytest

from bench.resources import open_files
from bench.soak import Sample, judge

MB = 1_000_000


@pytest.mark.parametrize(
    ("sizes", "flat"),
    [
        ([50] * 40, True),
        (list(range(50, 90)) + [90] * 40, True),  # it warms up, then stays
        ([50 + n for n in range(80)], False),
        ([200 + n // 8 for n in range(80)], True),
    ],
)
def test_memory_is_flat_when_the_last_half_adds_next_to_nothing(sizes: Sequence[int], flat: bool) -> None:
    assert judge("api", [Sample(bytes=size * MB, files=20) for size in sizes]).flat is flat


def test_files_that_stay_open_are_found() -> None:
    assert not judge("api", [Sample(bytes=50 * MB, files=20 + n) for n in range(80)]).flat


def test_open_files_are_counted() -> None:
    before = open_files(os.getpid())
    with open(os.devnull), open(os.devnull):
        assert open_files(os.getpid()) == before + 2
