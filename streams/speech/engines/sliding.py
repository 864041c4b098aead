"""Windows of fixed length over sound of any length.

In: samples. Out: equally long windows that together hold all of it. Pure.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def window_starts(samples: int, window: int, step: int) -> list[int]:
    """First samples of windows `step` apart; the last one is moved back so as to end with the sound."""
    if samples <= window:
        return [0]
    last = samples - window
    return [*range(0, last, step), last]


def cut_windows(sound: NDArray[np.float32], starts: Sequence[int], window: int) -> NDArray[np.float32]:
    """The windows (n, window); silence follows sound that is shorter than one."""
    padded = np.pad(sound, (0, max(0, window - len(sound))))
    return np.stack([padded[start : start + window] for start in starts])
