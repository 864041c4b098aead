"""When a process counts as flat."""

import io
import os
import wave
from collections.abc import Sequence

import pytest

from bench.recordings import wav_head
from bench.resources import open_files
from bench.soak import LARGE_BYTES_OF, Sample, judge

MB = 1_000_000


@pytest.mark.parametrize(
    ("sizes", "flat"),
    [
        ([50] * 40, True),
        (list(range(50, 90)) + [90] * 40, True),  # it warms up, then stays
        ([50 + n for n in range(80)], False),
        ([200 + n // 8 for n in range(80)], True),
        ([200 + 2 * n // 3 for n in range(80)], False),  # 13 MB a quarter, which is little beside its size
    ],
)
def test_memory_is_flat_when_the_last_half_adds_next_to_nothing(sizes: Sequence[int], flat: bool) -> None:
    assert judge("api", [Sample(bytes=size * MB, files=20) for size in sizes]).flat is flat


@pytest.mark.parametrize(("name", "flat"), [("projector", False), ("chunker-long", True)])
def test_a_large_recording_may_take_what_its_decoder_may(name: str, flat: bool) -> None:
    run, peak = [Sample(bytes=50 * MB, files=20)] * 40, Sample(bytes=50 * MB + LARGE_BYTES_OF["chunker-long"], files=20)
    assert judge(name, run, [run[0], peak, run[0]]).flat is flat


def test_the_large_recording_is_one() -> None:
    sound = bytes(range(200))
    with wave.open(io.BytesIO(wav_head(len(sound)) + sound)) as file:
        assert (file.getnchannels(), file.getframerate(), file.readframes(1_000)) == (1, 16_000, sound)


def test_files_that_stay_open_are_found() -> None:
    assert not judge("api", [Sample(bytes=50 * MB, files=20 + n) for n in range(80)]).flat


def test_open_files_are_counted() -> None:
    before = open_files(os.getpid())
    with open(os.devnull), open(os.devnull):
        assert open_files(os.getpid()) == before + 2
