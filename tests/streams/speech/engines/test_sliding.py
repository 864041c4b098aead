"""Windows of fixed length together hold all of the sound."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streams.speech.engines.sliding import cut_windows, window_starts


@given(samples=st.integers(0, 5_000), window=st.integers(1, 900), step=st.integers(1, 900))
def test_every_sample_is_in_a_window_when_steps_do_not_skip(samples: int, window: int, step: int) -> None:
    step = min(step, window)
    starts = window_starts(samples, window, step)
    covered = {at for start in starts for at in range(start, start + window)}
    assert set(range(samples)) <= covered
    assert starts == sorted(set(starts)) and starts[0] == 0
    assert starts[-1] + window == max(samples, window)


def test_short_sound_is_followed_by_silence() -> None:
    found = cut_windows(np.ones(3, np.float32), [0], 5)
    assert found.tolist() == [[1, 1, 1, 0, 0]]
