"""Groups, rates and the table, from scores made by hand."""

from bench.evaluation.errors_of_words import WordErrors
from bench.evaluation.hypothesis import StageTime
from bench.evaluation.rendering import markdown
from bench.evaluation.scores import Score
from bench.evaluation.summary import ALL, rows


def made(engine: str, clip: str, errors: int, language: str = "en", seconds: float = 1.0) -> Score:
    return Score(
        engine=engine,
        clip_id=clip,
        group="read",
        language=language,
        duration_s=10.0,
        stages={"asr": StageTime(wall_s=seconds, processor_s=seconds)},
        peak_bytes=5_000_000,
        text="",
        found_language="en",
        blocks=(WordErrors(words=20, substitutions=errors), WordErrors(words=20)),
        flags={"retried": 1},
        start_errors_ms=(-50, 150, 300),
    )


SCORES = [
    made("ours", "a", 1),
    made("ours", "b", 1, "de"),
    made("whisperx", "a", 3, seconds=2.0),
    made("whisperx", "b", 1, "de", seconds=2.0),
]


def test_a_rate_is_of_all_words_of_a_group() -> None:
    english, german, _, _, everything = rows(SCORES)
    assert (english.language, german.language, everything.language) == ("en", "de", ALL)
    assert everything.rates["ours"].wer == 2 / 80
    assert everything.rates["whisperx"].wer == 4 / 80
    assert everything.rates["ours"].wrong_languages == 1
    assert everything.rates["ours"].flags == {"retried": 2}
    assert everything.audio_s == 20.0


def test_times_are_judged_by_size_not_by_sign() -> None:
    everything = rows(SCORES)[-1].rates["ours"]
    assert everything.start_median_ms == 150
    assert everything.start_near == 4 / 6


def test_the_table_sets_engines_side_by_side() -> None:
    text = markdown("Evaluation", ["A note."], rows(SCORES))
    assert "| all | all | 2 | 0.3 | 2.5 % | 5.0 % |" in text
    assert "ours is faster than whisperx: ASR alone 2.00 × (2.00 × by processor time)" in text
    assert "## Speakers" not in text
