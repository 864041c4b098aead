"""Qualities: each is there, and none lets a loop stand without another try."""

from dataclasses import replace

import pytest

from schemas.values import Quality
from streams.speech.engines.effort import EFFORTS
from streams.speech.engines.retry import Attempt, Decoding, Keep, next_step


def test_every_quality_has_its_effort() -> None:
    assert set(EFFORTS) == set(Quality)
    beams = [EFFORTS[quality].ladder.first.beam_size for quality in Quality]
    assert beams == sorted(beams) and len(set(beams)) == len(beams)


@pytest.mark.parametrize("quality", list(Quality))
def test_a_loop_is_tried_again_and_ends(quality: Quality) -> None:
    ladder = EFFORTS[quality].ladder
    first = next_step([], can_halve=False, ladder=ladder)
    assert isinstance(first, Decoding) and first == ladder.first
    attempts = [
        Attempt(
            decoding=first,
            tokens=(1,),
            text="yeah",
            avg_logprob=-0.3,
            no_speech_probability=0.0,
            compression_ratio=8.0,
        )
    ]
    second = next_step(attempts, can_halve=False, ladder=ladder)
    assert isinstance(second, Decoding) and second.no_repeat_ngram_size > 0
    while not isinstance(step := next_step(attempts, can_halve=False, ladder=ladder), Keep):
        assert isinstance(step, Decoding)
        attempts.append(replace(attempts[0], decoding=step))
    assert len(attempts) <= 2 + len(ladder.drawn)
