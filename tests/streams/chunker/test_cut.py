"""Cuts: at silence, else where it is quietest, and the same whatever the blocks."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.chunker.cut import SAMPLES_PER_MS, Chunk, CutPolicy, Cutter, Samples
from tests.streams.chunker.recordings import noise, silence, tone

# A hundredth of the real spans, so that a law sees many cuts in little sound.
SMALL = CutPolicy(window_ms=300, search_ms=100, silence_ms=20, kept_ms=10, margin_ms=50)


def cut(blocks: list[Samples], policy: CutPolicy | None = None) -> list[Chunk]:
    cutter = Cutter(policy)
    chunks = [chunk for block in blocks for chunk in cutter.feed(np.stack((block, block)))]
    return chunks + cutter.finish()


def spans(chunks: list[Chunk]) -> list[tuple[int, int]]:
    return [(chunk.start_ms, chunk.end_ms) for chunk in chunks]


@st.composite
def sound(draw: st.DrawFn) -> Samples:
    pieces = draw(
        st.lists(st.tuples(st.integers(1, 120), st.sampled_from((-90.0, -50.0, -35.0, -20.0))), min_size=1, max_size=25)
    )
    seed = draw(st.integers(0, 9))
    joined = np.concatenate([noise(ms, dbfs, seed + i) for i, (ms, dbfs) in enumerate(pieces)])
    return joined[: len(joined) - draw(st.integers(0, 15))]


@st.composite
def sound_in_blocks(draw: st.DrawFn) -> tuple[Samples, list[Samples]]:
    samples = draw(sound())
    edges = sorted(draw(st.lists(st.integers(0, len(samples)), max_size=12)))
    return samples, np.split(samples, edges)


@given(sound_in_blocks())
@settings(max_examples=200, deadline=None)
def test_blocks_do_not_change_the_cut(case: tuple[Samples, list[Samples]]) -> None:
    samples, blocks = case
    at_once, in_blocks = cut([samples], SMALL), cut(blocks, SMALL)
    assert spans(at_once) == spans(in_blocks)
    for a, b in zip(at_once, in_blocks, strict=True):
        assert a.object_start_ms == b.object_start_ms
        assert np.array_equal(a.samples, b.samples)


@given(sound())
@settings(max_examples=200, deadline=None)
def test_chunks_cover_the_recording_and_hold_its_samples(samples: Samples) -> None:
    chunks = cut([samples], SMALL)
    padded = np.pad(samples, (0, -len(samples) % SAMPLES_PER_MS))
    total_ms = len(padded) // SAMPLES_PER_MS
    assert chunks[0].start_ms == 0
    assert chunks[-1].end_ms == total_ms
    assert all(a.end_ms == b.start_ms for a, b in pairwise(chunks))
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    for chunk in chunks:
        assert 0 < chunk.end_ms - chunk.start_ms <= SMALL.window_ms
        assert chunk.object_start_ms == max(0, chunk.start_ms - SMALL.margin_ms)
        first, last = chunk.object_start_ms, min(total_ms, chunk.end_ms + SMALL.margin_ms)
        assert np.array_equal(chunk.samples, padded[first * SAMPLES_PER_MS : last * SAMPLES_PER_MS])


@given(sound())
@settings(max_examples=100, deadline=None)
def test_no_scrap_is_left_at_the_end(samples: Samples) -> None:
    chunks = cut([samples], SMALL)
    assert len(chunks) == 1 or chunks[-1].end_ms - chunks[-1].start_ms >= SMALL.margin_ms


def test_it_cuts_in_a_silence_and_keeps_200_ms_of_it() -> None:
    [first, second] = cut([np.concatenate((tone(24_000), silence(800), tone(30_000 - 4_800)))])
    assert first.end_ms == second.start_ms == 24_600


@pytest.mark.parametrize(
    ("silences", "end_ms"),
    [
        ([(22_000, 600), (27_000, 600)], 27_400),
        ([(22_000, 1_200), (27_000, 600)], 23_000),
        ([(22_000, 2_500), (27_000, 1_100)], 27_900),
        ([(10_000, 3_000), (27_000, 600)], 27_400),
        ([(22_000, 450), (27_000, 600)], 27_400),
    ],
    ids=["latest of equals", "longest", "a second is enough", "only near the end", "too short"],
)
def test_which_silence(silences: list[tuple[int, int]], end_ms: int) -> None:
    samples = tone(50_000)
    for start_ms, length_ms in silences:
        samples[start_ms * SAMPLES_PER_MS : (start_ms + length_ms) * SAMPLES_PER_MS] = 0
    assert cut([samples])[0].end_ms == end_ms


def test_without_silence_it_cuts_where_it_is_quietest() -> None:
    samples = tone(50_000)
    samples[25_000 * SAMPLES_PER_MS : 25_300 * SAMPLES_PER_MS] = tone(300, -35.0)
    assert 25_000 <= cut([samples])[0].end_ms <= 25_300


def test_noise_above_the_threshold_is_no_silence() -> None:
    samples = tone(50_000)
    samples[22_000 * SAMPLES_PER_MS : 24_000 * SAMPLES_PER_MS] = noise(2_000, -38.0)
    samples[27_000 * SAMPLES_PER_MS : 27_600 * SAMPLES_PER_MS] = noise(600, -42.0)
    assert cut([samples])[0].end_ms == 27_400


def test_evened_loudness_says_where_to_cut_and_the_chunk_holds_what_was_recorded() -> None:
    recorded, evened = silence(40_000), tone(40_000)
    evened[27_000 * SAMPLES_PER_MS : 28_000 * SAMPLES_PER_MS] = 0
    recorded[::7] = 123
    [first] = Cutter().feed(np.stack((recorded, evened)))
    assert first.end_ms == 27_800
    assert np.array_equal(first.samples, recorded[: len(first.samples)])


def test_a_recording_of_30_s_is_one_chunk_and_of_31_s_two_decent_ones() -> None:
    assert spans(cut([tone(30_000)])) == [(0, 30_000)]
    [(_, first_end), (_, second_end)] = spans(cut([tone(31_000)]))
    assert second_end == 31_000
    assert second_end - first_end >= 5_000


def test_a_chunk_comes_as_soon_as_its_margin_is_there() -> None:
    cutter = Cutter()
    assert cutter.feed(np.stack([tone(34_999)] * 2)) == []
    assert len(cutter.feed(np.stack([tone(1)] * 2))) == 1


def test_no_samples_no_chunks() -> None:
    assert cut([]) == []
