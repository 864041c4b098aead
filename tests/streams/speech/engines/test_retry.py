"""The retry ladder: sound steps first, chance last, and always an end."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.speech.engines.retry import (
    DRAWN,
    FIRST,
    WITHOUT_REPEATS,
    Attempt,
    Decoding,
    Halve,
    Keep,
    Verdict,
    best,
    flags,
    judge,
    next_step,
)

GOOD = Attempt(
    decoding=FIRST,
    tokens=(1,),
    text="so",
    avg_logprob=-0.2,
    no_speech_probability=0.01,
    compression_ratio=1.2,
)
LOOP = replace(GOOD, compression_ratio=8.2, avg_logprob=-0.3)
UNSURE = replace(GOOD, avg_logprob=-1.4)
SILENT = replace(UNSURE, no_speech_probability=0.9)

figures = st.builds(
    Attempt,
    decoding=st.just(FIRST),
    tokens=st.just(()),
    text=st.just(""),
    avg_logprob=st.floats(-3, 0),
    no_speech_probability=st.floats(0, 1),
    compression_ratio=st.floats(0, 10),
)


@pytest.mark.parametrize(
    ("attempt", "verdict"),
    [
        (GOOD, Verdict.GOOD),
        (LOOP, Verdict.REPETITIVE),
        (UNSURE, Verdict.UNSURE),
        (SILENT, Verdict.SILENT),
        # A high no-speech figure alone drops nothing, and a loop is never taken for silence.
        (replace(GOOD, no_speech_probability=0.9), Verdict.GOOD),
        (replace(SILENT, compression_ratio=5.0), Verdict.REPETITIVE),
    ],
)
def test_verdict(attempt: Attempt, verdict: Verdict) -> None:
    assert judge(attempt) is verdict


def test_the_first_try_is_plain() -> None:
    assert next_step((), can_halve=True) == FIRST


def test_a_good_try_is_kept() -> None:
    assert next_step((GOOD,), can_halve=True) == Keep(attempt=GOOD, verdict=Verdict.GOOD)


def test_a_loop_is_decoded_without_repeats_then_in_halves() -> None:
    assert next_step((LOOP,), can_halve=True) == WITHOUT_REPEATS
    again = replace(LOOP, decoding=WITHOUT_REPEATS)
    assert isinstance(next_step((LOOP, again), can_halve=True), Halve)
    assert next_step((LOOP, again), can_halve=False) == DRAWN[0]


def test_repeats_are_not_forbidden_to_a_row_that_only_sounds_unlikely() -> None:
    assert next_step((UNSURE,), can_halve=False) == DRAWN[0]


@given(st.lists(figures, min_size=10, max_size=10))
def test_the_ladder_ends_and_tries_nothing_twice(drawn: list[Attempt]) -> None:
    attempts: list[Attempt] = []
    for figure in drawn:
        step = next_step(attempts, can_halve=False)
        if isinstance(step, Keep):
            assert step.attempt in attempts
            return
        assert isinstance(step, Decoding)
        assert step not in [attempt.decoding for attempt in attempts]
        attempts.append(replace(figure, decoding=step))
    pytest.fail("the ladder did not end")


@given(st.lists(figures, min_size=1, max_size=6))
def test_the_best_try_repeats_itself_only_if_all_do(attempts: list[Attempt]) -> None:
    kept = best(attempts)
    if kept.verdict is Verdict.REPETITIVE:
        assert all(judge(attempt) is Verdict.REPETITIVE for attempt in attempts)


def test_flags_tell_doubts_and_retries() -> None:
    plain = Keep(attempt=GOOD, verdict=Verdict.GOOD)
    assert flags(plain, halved=False) == ()
    retried = Keep(attempt=replace(LOOP, decoding=WITHOUT_REPEATS), verdict=Verdict.REPETITIVE)
    assert flags(retried, halved=True) == ("low_confidence", "repetitive", "retried", "window_halved")
