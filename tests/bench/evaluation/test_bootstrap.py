"""When a difference means something."""

from bench.evaluation.bootstrap import difference_interval

SIZES = [20.0] * 30


def test_a_constant_difference_is_certain() -> None:
    low, high = difference_interval([4.0] * 30, [2.0] * 30, SIZES) or (0.0, 0.0)
    assert 0.09 < low <= high < 0.11


def test_a_difference_that_goes_either_way_means_nothing() -> None:
    first = [4.0, 0.0] * 15
    low, high = difference_interval(first, first[::-1], SIZES) or (1.0, 1.0)
    assert low < 0 < high


def test_the_same_figures_give_the_same_interval() -> None:
    first, second = [float(n % 5) for n in range(30)], [float(n % 3) for n in range(30)]
    assert difference_interval(first, second, SIZES) == difference_interval(first, second, SIZES)


def test_one_unit_says_nothing() -> None:
    assert difference_interval([1.0], [2.0], [20.0]) is None
    assert difference_interval([0.0, 0.0], [1.0, 0.0], [0.0, 0.0]) is None
