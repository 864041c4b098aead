"""Tries survive in an offset's metadata, within what the broker takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.speech.tries import MAX_METADATA_BYTES, decode, encode

OFFSETS = st.integers(0, 2**48)
FEW = st.dictionaries(OFFSETS, st.integers(1, 9), max_size=60)


@given(FEW)
def test_tries_come_back_as_they_were(tries: dict[int, int]) -> None:
    first = min(tries, default=0)
    assert decode(encode(tries, first), first) == tries


@given(FEW, OFFSETS)
def test_what_is_committed_has_no_tries(tries: dict[int, int], first: int) -> None:
    expected = {offset: count for offset, count in tries.items() if offset >= first}
    assert decode(encode(tries, first), first) == expected


@given(st.integers(0, 2**40), st.integers(500, 3_000))
def test_the_broker_takes_the_text_whatever_happened(first: int, count: int) -> None:
    tries = {first + 7 * number: 1 + number % 5 for number in range(count)}
    text = encode(tries, first)
    assert len(text.encode()) <= MAX_METADATA_BYTES
    kept = decode(text, first)
    assert kept.items() <= tries.items()
    dropped = [tries[offset] for offset in tries.keys() - kept.keys()]
    assert max(dropped, default=0) <= min(kept.values())


def test_without_tries_there_is_no_text() -> None:
    assert encode({}, 5) == encode({7: 0}, 5) == ""


@pytest.mark.parametrize("foreign", ["", "hello", "tries2 0:1", "tries1", "tries1 x", "tries1 0:1:2", "{}"])
def test_foreign_metadata_means_no_tries(foreign: str) -> None:
    assert decode(foreign, 3) == {}


def test_a_batch_of_a_thousand_new_chunks_fits() -> None:
    assert len(decode(encode(dict.fromkeys(range(800), 1), 0), 0)) >= 700
