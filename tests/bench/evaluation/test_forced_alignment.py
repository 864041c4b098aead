"""The aligner that ours is measured against, on a recording that everybody knows."""

from itertools import pairwise
from pathlib import Path

from bench.evaluation.forced_alignment import align
from bench.evaluation.sound import plain_samples

JFK = Path(__file__).parents[2] / "data" / "audio" / "jfk.flac"
TEXT = "And so, my fellow Americans, ask not what your country can do for you"


def test_words_begin_where_they_are_heard() -> None:
    found = align(plain_samples(JFK), TEXT)
    starts = [word.start_ms for word in found if word.start_ms is not None]
    assert len(starts) == len(found) == 14
    assert all(before < after for before, after in pairwise(starts))
    [ask] = [word.start_ms for word in found if word.text == "ask"]
    assert ask is not None and 3_100 < ask < 3_500, "after the pause that everybody remembers"


def test_an_unknown_word_and_its_neighbour_are_not_relied_on() -> None:
    found = align(plain_samples(JFK), TEXT.replace("fellow", "fellowzq"))
    assert [word.text for word in found if word.start_ms is None] == ["fellowzq", "americans"]
