"""Groups, rates and the table, from scores made by hand."""

from dataclasses import replace

from bench.evaluation.calibration import JudgedWord
from bench.evaluation.errors_of_words import WordErrors
from bench.evaluation.hypothesis import StageTime
from bench.evaluation.rendering import markdown
from bench.evaluation.scores import Score
from bench.evaluation.summary import ALL, rows

JUDGED = {
    "ours": (
        JudgedWord(confidence=0.95, segment_confidence=0.6, right=True, flagged=True),
        JudgedWord(confidence=0.25, segment_confidence=0.6, right=False, flagged=True),
    ),
    "whisperx": (),
    "server": (),
}


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
        judged=JUDGED[engine],
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


def test_confidence_is_shown_for_the_engines_that_give_one() -> None:
    text = markdown("Evaluation", [], rows(SCORES))
    assert "| 0.9 … 1.0 | 2 | 100.0 % |" in text
    assert "ours: 4 words, 50.0 % right, expected calibration error 0.150." in text
    assert "| ours | word below 0.3 | 2 | 100.0 % | 100.0 % |" in text
    assert "| ours | segment flagged | 4 | 50.0 % | 100.0 % |" in text
    assert "right whisperx" not in text


def test_what_a_running_server_does_not_show_is_left_out() -> None:
    scores = [replace(made("server", "a", 1), peak_bytes=0, stages={"server": StageTime(wall_s=4.0, processor_s=0.1)})]
    assert "| server | 4.0 | – | 2.5 | – | – |" in markdown("Evaluation", [], rows(scores))
