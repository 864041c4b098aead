"""Which frames hold one voice alone, and how long anybody speaks."""

import numpy as np
import pytest

from streams.speech.engines.spans import Span
from streams.speech.engines.voices import (
    CLASSES,
    FEATURE_CENTRE_SAMPLES,
    FEATURE_STEP_SAMPLES,
    alone,
    feature_frames,
    frames_heard,
    speakers_of,
    speech_ms,
    telling,
)

STEP, CENTRE = 270, 495
WINDOW_MS, FRAMES = 10_000, 589


@pytest.mark.parametrize("number", range(len(CLASSES)))
def test_each_class_names_its_speakers(number: int) -> None:
    scores = np.zeros((1, 1, len(CLASSES)), np.float32)
    scores[0, 0, number] = 1
    assert tuple(np.flatnonzero(speakers_of(scores)[0, 0])) == CLASSES[number]


def test_alone_is_without_another() -> None:
    activity = np.array([[[True, False, False], [True, True, False], [False, False, False]]])
    assert alone(activity)[0, :, 0].tolist() == [True, False, False]


def test_a_voice_never_long_alone_is_told_by_all_of_it() -> None:
    activity = np.zeros((1, 100, 3), np.bool_)
    activity[0, :60, 0] = True  # alone in 50 frames
    activity[0, 50:70, 1] = True  # alone in 10, heard in 20
    activity[0, 90:95, 2] = True
    told = telling(activity, 15)[0]
    assert np.flatnonzero(told[:, 0]).tolist() == list(range(50))
    assert np.flatnonzero(told[:, 1]).tolist() == list(range(50, 70))
    assert not told[:, 2].any()


def test_features_lie_under_the_clean_frames() -> None:
    clean = np.zeros(FRAMES, np.bool_)
    clean[100:200] = True
    start = 32_000
    found = feature_frames(clean, start, STEP, CENTRE, 3_000)
    centres = found * FEATURE_STEP_SAMPLES + FEATURE_CENTRE_SAMPLES
    first, last = start + 100 * STEP + CENTRE, start + 199 * STEP + CENTRE
    assert (first - STEP <= centres).all() and (centres <= last + STEP).all()
    assert len(found) == pytest.approx(100 * STEP / FEATURE_STEP_SAMPLES, abs=2)


def test_features_after_the_sound_do_not_exist() -> None:
    assert feature_frames(np.ones(FRAMES, np.bool_), 0, STEP, CENTRE, 50).max() == 49


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (495, 0), (496, 1), (160_000, 589)])
def test_frames_beyond_short_sound_do_not_count(samples: int, frames: int) -> None:
    assert frames_heard(FRAMES, STEP, CENTRE, samples) == frames


def test_speech_is_what_half_of_the_windows_say() -> None:
    activity = np.zeros((2, FRAMES, 3), np.bool_)
    activity[0] = True  # the first window hears speech throughout, the second, 2 s later, none
    core = Span(start_ms=0, end_ms=12_000)
    assert speech_ms(activity, [0, 32_000], core, WINDOW_MS) == 10_000
    assert speech_ms(activity, [0, 32_000], Span(start_ms=11_000, end_ms=12_000), WINDOW_MS) == 0
