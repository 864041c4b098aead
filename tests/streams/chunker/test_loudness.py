"""Loudness: led to the target, slowly, and the same whatever the blocks."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.chunker.cut import SAMPLE_RATE_HZ, Samples
from streams.chunker.loudness import Leveler
from tests.streams.chunker.recordings import noise, silence, tone


def level(blocks: list[Samples]) -> Samples:
    leveler = Leveler()
    recorded, levelled = np.concatenate([*(leveler.feed(block) for block in blocks), leveler.finish()], axis=1)
    assert np.array_equal(recorded, np.concatenate(blocks))
    evened: Samples = levelled
    return evened


def dbfs(samples: Samples) -> float:
    return 20 * math.log10(math.sqrt(float(np.mean(np.square(samples, dtype=np.float64)))) / 32_768)


def at(samples: Samples, start_s: float, end_s: float) -> Samples:
    return samples[int(start_s * SAMPLE_RATE_HZ) : int(end_s * SAMPLE_RATE_HZ)]


@given(
    st.lists(st.tuples(st.integers(0, 400), st.sampled_from((-96.0, -50.0, -30.0, -6.0))), min_size=1, max_size=10),
    st.lists(st.integers(0, 60_000), max_size=12),
)
@settings(max_examples=100, deadline=None)
def test_blocks_do_not_change_the_sound(pieces: list[tuple[int, float]], edges: list[int]) -> None:
    samples = np.concatenate([noise(ms, loudness, i) for i, (ms, loudness) in enumerate(pieces)])
    assert np.array_equal(level([samples]), level(np.split(samples, sorted(edges))))


@given(st.integers(1, 4_000))
@settings(deadline=None)
def test_as_many_samples_come_out_as_go_in(count: int) -> None:
    assert len(level([np.ones(count, np.int16)])) == count


def test_what_comes_later_changes_nothing_before() -> None:
    quiet = tone(4_000, -40.0)
    assert np.array_equal(level([quiet]), level([quiet, tone(4_000, -3.0)])[: len(quiet)])


def test_quiet_and_loud_speech_are_led_to_the_target() -> None:
    for loudness in (-36.0, -10.0):
        assert abs(dbfs(at(level([tone(40_000, loudness)]), 30, 40)) + 20) < 0.1


def test_the_gain_moves_one_decibel_a_second() -> None:
    levelled = level([tone(12_000, -36.0)])
    gains = [dbfs(at(levelled, second, second + 0.5)) + 36 for second in range(12)]
    steps = np.diff(gains)
    assert gains[0] < 0.5
    assert np.all(np.abs(steps - 1) < 0.05)


def test_the_gain_ends_at_20_decibels() -> None:
    assert abs(dbfs(at(level([tone(40_000, -50.0)]), 35, 40)) + 30) < 0.1


def test_a_noise_floor_is_not_raised() -> None:
    assert abs(dbfs(at(level([noise(40_000, -62.0)]), 35, 40)) + 62) < 0.1


def test_a_long_pause_keeps_the_gain_and_stays_silent() -> None:
    levelled = level([tone(20_000, -30.0), noise(20_000, -60.0), tone(5_000, -30.0)])
    assert dbfs(at(levelled, 35, 40)) < -45
    assert abs(dbfs(at(levelled, 41, 42)) + 20) < 1


def test_silence_stays_silence() -> None:
    assert not level([silence(5_000)]).any()
