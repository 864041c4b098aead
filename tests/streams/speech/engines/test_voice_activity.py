"""Speech probabilities: overlapping windows become one row of frames that ends with the sound."""

import numpy as np
import pytest

from streams.speech.engines.model_files import packaged_file
from streams.speech.engines.pyannet import load_network
from streams.speech.engines.voice_activity import WINDOW_SAMPLES, VoiceActivity, stitch
from tests.streams.speech.engines.conftest import Recording


@pytest.fixture(scope="module")
def voice_activity() -> VoiceActivity:
    return VoiceActivity(load_network(packaged_file("whisperx", "assets/pytorch_model.bin"), "cpu"), "cpu")


def test_windows_that_agree_give_what_they_agree_on() -> None:
    speech = np.full((2, 292), 0.7, np.float32)
    found = stitch(speech, [0, 16_000], WINDOW_SAMPLES + 16_000)
    np.testing.assert_allclose(found.values, 0.7, rtol=1e-6)
    assert (np.diff(found.centre_ms) > 0).all()


@pytest.mark.parametrize("samples", [0, 320, 4_800])
def test_frames_end_with_short_sound(samples: int) -> None:
    found = stitch(np.ones((1, 292), np.float32), [0], samples)
    assert len(found.values) == len(found.centre_ms)
    assert (found.centre_ms < samples / 16).all()


def test_silence_is_no_speech_and_speech_is(voice_activity: VoiceActivity, recording: Recording) -> None:
    silence, speech = voice_activity.scores([np.zeros(100_000, np.float32), recording("jfk").samples])
    assert silence.values.max() < 0.3
    assert speech.values.max() > 0.9
    assert speech.centre_ms[-1] == pytest.approx(11_000, abs=60)


def test_no_clips_no_scores(voice_activity: VoiceActivity) -> None:
    assert voice_activity.scores([]) == []
