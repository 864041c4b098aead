"""Time limits of batches: in proportion to what was needed before, with a floor and a ceiling."""

import pytest

from streams.speech.pace import LEAST_AUDIO_S, PATIENCE, REMEMBERED_BATCHES, SLACK, UNKNOWN_COST, Pace

FLOOR_S, CEILING_S = 4.0, 600.0


@pytest.fixture
def pace() -> Pace:
    return Pace(floor_s=FLOOR_S, ceiling_s=CEILING_S)


def test_an_unknown_model_is_given_time_for_its_audio(pace: Pace) -> None:
    assert pace.limit_s(30, 0) == FLOOR_S + SLACK * UNKNOWN_COST * 30


def test_a_fast_model_has_little_more_than_the_floor(pace: Pace) -> None:
    pace.ended(240, 1.2)
    assert pace.limit_s(240, 0) == FLOOR_S + SLACK * 1.2
    assert pace.limit_s(30, 0) == FLOOR_S + SLACK * 1.2 / 8


def test_the_slowest_of_the_latest_counts(pace: Pace) -> None:
    pace.ended(10, 5)
    pace.ended(10, 1)
    assert pace.limit_s(10, 0) == FLOOR_S + SLACK * 5
    for _ in range(REMEMBERED_BATCHES):
        pace.ended(10, 1)
    assert pace.limit_s(10, 0) == FLOOR_S + SLACK * 1


def test_each_try_has_more_patience_up_to_the_ceiling(pace: Pace) -> None:
    pace.ended(10, 2)
    assert pace.limit_s(10, 1) == FLOOR_S + SLACK * 2 * PATIENCE
    assert pace.limit_s(10, 9) == CEILING_S


def test_little_audio_does_not_make_a_model_look_slow(pace: Pace) -> None:
    pace.ended(0.1, 0.5)
    assert pace.limit_s(100, 0) == FLOOR_S + SLACK * 0.5 * 100 / LEAST_AUDIO_S
