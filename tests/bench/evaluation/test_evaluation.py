"""The whole command on real recordings, and the gate: our transcripts may not get worse.

The figures that hold are our own, kept beside their margins; WhisperX runs on one clip, to see that it is measured.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parents[2] / "data"
CLIPS = ("pyannote-sample", "jfk", "fleurs-de")
# Errors of the bundled model on these clips as last measured, and by how much a change may raise a rate: the arithmetic
# of another processor moves a word or two.
WER = {"pyannote-sample": 0.126, "jfk": 0.0, "fleurs-de-000": 0.278}
WER_MARGIN = 0.06
CALL_DER = 0.072
CALL_CPWER = 0.18
DER_MARGIN = 0.02
START_MEDIAN_MS = 60
START_NEAR = 0.88

pytestmark = pytest.mark.real_model


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """Our engines on all clips."""
    return evaluated(tmp_path_factory.mktemp("ours"), CLIPS, "ours")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """WhisperX, on the shortest clip."""
    return evaluated(tmp_path_factory.mktemp("theirs"), ("jfk",), "whisperx")


def evaluated(out: Path, clips: Sequence[str], *engines: str) -> Mapping[str, Any]:
    """The document of one run of the command."""
    only = [argument for clip in clips for argument in ("--only", clip)]
    command = [sys.executable, "-m", "cli", "eval", str(DATA), *only, "--engines", ",".join(engines)]
    done = subprocess.run([*command, "--out", str(out), "--name", "run"], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert (out / "run.md").read_text().strip() == done.stdout.strip()
    document: Mapping[str, Any] = json.loads((out / "run.json").read_text())
    return document


def scores(run: Mapping[str, Any], engine: str) -> dict[str, Any]:
    return {score["clip_id"]: score for score in run["scores"] if score["engine"] == engine}


def rate(score: Mapping[str, Any]) -> float:
    blocks = score["blocks"]
    return float((blocks["substitutions"] + blocks["deletions"] + blocks["insertions"]) / blocks["words"])


def test_words_do_not_get_worse(run: Mapping[str, Any]) -> None:
    found = {clip: rate(score) for clip, score in scores(run, "ours").items()}
    assert found.keys() == WER.keys()
    assert {clip: wer for clip, wer in found.items() if wer > WER[clip] + WER_MARGIN} == {}
    assert all(score["loops"] == 0 for score in scores(run, "ours").values())
    assert all(score["found_language"] == score["language"] for score in scores(run, "ours").values())


def test_speakers_do_not_get_worse(run: Mapping[str, Any]) -> None:
    call = scores(run, "ours")["pyannote-sample"]
    turns = call["turns"]
    der = (turns["missed_s"] + turns["false_alarm_s"] + turns["confused_s"]) / turns["speech_s"]
    assert der <= CALL_DER + DER_MARGIN
    assert call["said_by"]["edits"] / call["said_by"]["words"] <= CALL_CPWER + WER_MARGIN
    assert call["speaker_count_error"] == 0


def test_times_do_not_get_worse(run: Mapping[str, Any]) -> None:
    ours = run["rows"][-1]["rates"]["ours"]
    assert ours["timed_words"] > 80
    assert ours["start_median_ms"] <= START_MEDIAN_MS
    assert ours["start_near"] >= START_NEAR


def test_plain_whisperx_is_measured(theirs: Mapping[str, Any]) -> None:
    found = scores(theirs, "whisperx")
    assert found.keys() == {"jfk"}
    assert rate(found["jfk"]) == 0


def test_every_stage_of_both_is_watched(run: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    for score in (*scores(run, "ours").values(), *scores(theirs, "whisperx").values()):
        assert score["peak_bytes"] > 100_000_000
        assert {"prepare", "asr", "diarization", "assembly"} <= score["stages"].keys()


def test_the_document_says_what_was_measured_where(run: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    assert theirs["machine"]["cores"] >= 1
    assert theirs["versions"]["whisperx"]
    assert (set(run["models"]), set(theirs["models"])) == ({"ours"}, {"whisperx"})


@pytest.mark.parametrize(
    "arguments", [["--engines", "nobody"], ["--parts", "spelling"], ["--only", "whale"]], ids=lambda found: found[0]
)
def test_what_cannot_be_measured_is_said_in_words(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "bench.evaluation", str(DATA), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith("palimpsest: There is no") or "no group" in done.stderr or "parts" in done.stderr
