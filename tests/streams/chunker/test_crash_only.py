"""What the application does not trust Faust with."""

import pytest

from streams.chunker.crash_only import RecordSkipped, Succession


def test_records_that_follow_one_another_or_come_again_are_taken() -> None:
    succession = Succession()
    for partition, offset in ((0, 7), (1, 0), (0, 8), (0, 9), (0, 8), (0, 9), (0, 10), (1, 1)):
        succession.follow(partition, offset)


def test_a_record_after_one_that_never_came_is_refused() -> None:
    succession = Succession()
    succession.follow(0, 7)
    succession.follow(1, 20)
    with pytest.raises(RecordSkipped, match="partition 0: 9 was handed out where 8 is next"):
        succession.follow(0, 9)
    succession.follow(0, 8)
