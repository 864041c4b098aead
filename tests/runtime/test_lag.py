"""Ages of what waits, from ends that were seen."""

from prometheus_client import REGISTRY

from runtime.lag import MAX_SAMPLES, Lag, OldestWaiting


def test_nothing_waits_for_a_reader_at_the_end() -> None:
    waiting = OldestWaiting()
    assert [waiting.age_s(float(t), 10, 10) for t in range(3)] == [0.0, 0.0, 0.0]


def test_the_age_is_that_of_the_oldest_record_that_waits() -> None:
    waiting = OldestWaiting()
    assert waiting.age_s(0.0, 10, 0) == 0.0
    assert waiting.age_s(5.0, 20, 0) == 5.0
    assert waiting.age_s(6.0, 20, 9) == 6.0  # record 9 was there at 0
    assert waiting.age_s(7.0, 20, 10) == 2.0  # record 10 came between 0 and 5, and was seen at 5
    assert waiting.age_s(8.0, 20, 20) == 0.0
    assert waiting.age_s(9.0, 21, 20) == 0.0
    assert waiting.age_s(11.0, 21, 20) == 2.0


def test_a_long_wait_needs_little_memory_and_loses_nothing_of_its_age() -> None:
    waiting = OldestWaiting()
    ages = [waiting.age_s(float(t), t + 1, 0) for t in range(5 * MAX_SAMPLES)]
    assert ages[-1] == 5 * MAX_SAMPLES - 1
    assert len(waiting._ends) <= MAX_SAMPLES


def test_the_oldest_partition_counts_and_those_of_others_are_forgotten() -> None:
    lag = Lag()
    assert lag.report(0.0, {("uploads", 0): (5, 0), ("uploads", 1): (3, 3)}) == 5
    assert lag.report(4.0, {("uploads", 0): (5, 0), ("uploads", 1): (4, 3)}) == 6
    assert _oldest() == 4.0
    assert lag.report(9.0, {("uploads", 1): (4, 3)}) == 1
    assert _oldest() == 5.0
    assert lag.report(10.0, {}) == 0
    assert _oldest() == 0.0


def _oldest() -> float | None:
    return REGISTRY.get_sample_value("palimpsest_oldest_unprocessed_seconds", {"topic": "uploads"})
