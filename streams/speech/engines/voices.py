"""Which frames tell a voice apart: the arithmetic between a segmentation network and a speaker embedding.

In: the network's scores of windows. Out: who speaks at each frame, and which frames of sound hold one voice alone.
Pure NumPy. Local speakers are numbered within a window; their numbers mean nothing outside it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streams.speech.engines.protocol import SAMPLE_RATE_HZ
from streams.speech.engines.spans import SAMPLES_PER_MS, Span

LOCAL_SPEAKERS = 3
# The classes of segmentation-3.0: nobody, one voice, or two at once.
CLASSES = ((), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2))
FEATURE_STEP_SAMPLES, FEATURE_CENTRE_SAMPLES = 160, 200  # Kaldi's 25 ms every 10 ms
CELL_MS = 10


def speakers_of(scores: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Who speaks (window, frame, speaker), by the likeliest class of scores (window, frame, class)."""
    table = np.zeros((len(CLASSES), LOCAL_SPEAKERS), np.bool_)
    for number, speakers in enumerate(CLASSES):
        table[number, list(speakers)] = True
    active: NDArray[np.bool_] = table[scores.argmax(axis=-1)]
    return active


def alone(activity: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where each speaker is heard and no other."""
    single: NDArray[np.bool_] = activity & (activity.sum(axis=-1, keepdims=True) == 1)
    return single


def telling(activity: NDArray[np.bool_], least: int) -> NDArray[np.bool_]:
    """The frames that tell what each speaker of a window sounds like: where nobody else is heard, or, where those are
    fewer than `least`, all of its own; none for whoever is heard in fewer than that."""
    clean = alone(activity)
    own = np.where(clean.sum(axis=-2, keepdims=True) >= least, clean, activity)
    enough: NDArray[np.bool_] = own & (own.sum(axis=-2, keepdims=True) >= least)
    return enough


def frames_heard(frames: int, step_samples: int, centre_samples: int, sound_samples: int) -> int:
    """How many of a window's frames have their centre inside sound that may be shorter than the window."""
    return max(0, min(frames, -(-(sound_samples - centre_samples) // step_samples)))


def feature_frames(
    clean: NDArray[np.bool_], start: int, step_samples: int, centre_samples: int, features: int
) -> NDArray[np.int64]:
    """Indices of the recording's features under the `clean` frames of a window that begins at sample `start`."""
    places = np.arange(features, dtype=np.int64)
    offsets = places * FEATURE_STEP_SAMPLES + FEATURE_CENTRE_SAMPLES - start - centre_samples
    frames = np.rint(offsets / step_samples).astype(np.int64)
    inside = (frames >= 0) & (frames < len(clean))
    return places[inside][clean[frames[inside]]]


def speech_ms(activity: NDArray[np.bool_], starts: Sequence[int], core: Span, window_ms: int) -> int:
    """How long anybody speaks inside `core`, where at least half of the windows over a moment say so."""
    cells = max(0, -(-core.length_ms // CELL_MS))
    heard, over = np.zeros(cells), np.zeros(cells)
    times = core.start_ms + np.arange(cells) * CELL_MS + CELL_MS / 2
    for i, start in enumerate(starts):
        window = activity[i].any(axis=-1)
        frames = ((times - start / SAMPLES_PER_MS) * len(window) / window_ms).astype(np.int64)
        inside = (times >= start / SAMPLES_PER_MS) & (frames < len(window))
        heard[inside] += window[frames[inside]]
        over[inside] += 1
    return min(core.length_ms, int(((over > 0) & (2 * heard >= over)).sum()) * CELL_MS)


def seconds(frames: int, step_samples: int) -> float:
    """Length of so many frames."""
    return frames * step_samples / SAMPLE_RATE_HZ
