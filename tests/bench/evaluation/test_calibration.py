"""Confidence against right and wrong, with words made by hand."""

import pytest

from bench.evaluation.calibration import JudgedWord, calibration


def words(
    confidence: float, right: int, wrong: int, *, segment: float | None = None, flagged: bool = False
) -> list[JudgedWord]:
    truths = [True] * right + [False] * wrong
    return [
        JudgedWord(confidence=confidence, segment_confidence=segment, right=truth, flagged=flagged) for truth in truths
    ]


def test_words_that_are_as_right_as_they_say_have_no_error() -> None:
    found = calibration([*words(0.75, 3, 1), *words(0.25, 1, 3)])
    assert found is not None
    assert found.error == pytest.approx(0)
    assert (found.words, found.right) == (8, 4)


def test_the_error_is_the_mean_distance_of_the_tenths_by_their_words() -> None:
    found = calibration([*words(0.95, 6, 0), *words(0.55, 0, 2)])
    assert found is not None
    assert found.error == pytest.approx((6 * 0.05 + 2 * 0.55) / 8)
    assert (found.tenths[9].words, found.tenths[9].right) == (6, 6)
    assert found.tenths[5].mean_confidence == pytest.approx(0.55)
    assert found.tenths[0].mean_confidence is None


def test_full_confidence_is_in_the_last_tenth() -> None:
    found = calibration(words(1.0, 1, 0))
    assert found is not None
    assert found.tenths[9].words == 1


def test_a_doubt_is_precise_where_the_doubted_are_wrong_and_complete_where_all_wrong_ones_are_doubted() -> None:
    found = calibration([*words(0.45, 1, 3), *words(0.9, 5, 1, flagged=True)])
    assert found is not None
    assert (found.below[0.5].precision, found.below[0.5].recall) == (0.75, 0.75)
    assert (found.below[0.3].precision, found.below[0.3].recall) == (None, 0.0)
    assert (found.flag.words, found.flag.precision, found.flag.recall) == (6, 1 / 6, 0.25)


def test_a_segment_is_doubted_by_its_own_confidence() -> None:
    found = calibration([*words(0.9, 1, 1, segment=0.55), *words(0.2, 2, 1, segment=0.75), *words(0.1, 1, 0)])
    assert found is not None
    assert [found.segments_below[limit].words for limit in (0.5, 0.6, 0.7, 0.8)] == [0, 2, 2, 5]
    assert (found.segments_below[0.6].precision, found.segments_below[0.6].recall) == (0.5, 0.5)


def test_without_words_there_is_nothing_to_say() -> None:
    assert calibration([]) is None
