"""What the model takes in: a few input lengths, each with silence after the words."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from streams.speech.engines.protocol import SAMPLE_RATE_HZ
from streams.speech.engines.recognition import input_samples, speech_between_pauses
from tests.streams.speech.engines.conftest import Recording

WINDOW_MAX_SAMPLES = 30 * SAMPLE_RATE_HZ


@given(st.integers(0, WINDOW_MAX_SAMPLES))
def test_input_has_room_for_the_window_and_silence(samples: int) -> None:
    total = input_samples(samples)
    assert total in {seconds * SAMPLE_RATE_HZ for seconds in (10, 15, 20, 25, 30)}
    assert total >= samples
    assert total == WINDOW_MAX_SAMPLES or total - samples >= 5 * SAMPLE_RATE_HZ


def test_the_pauses_of_a_speech_are_heard(recording: Recording) -> None:
    speech = speech_between_pauses(recording("jfk").core())
    assert len(speech) >= 4  # "my fellow Americans | ask not | what your country can do for you | ask what …"
    assert all(before.end_ms <= after.start_ms for before, after in pairwise(speech))
