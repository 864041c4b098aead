"""The evaluation of a running server: uploads, transcripts and their figures, with the stub engines behind it."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import TENANT, Pipeline

DATA = Path(__file__).parents[1] / "data"
CLIPS = {"pyannote-sample", "jfk"}
EVAL_TIMEOUT_S = 200


def evaluate(pipeline: Pipeline, out: Path, key: str) -> "subprocess.CompletedProcess[str]":
    only = [argument for clip in sorted(CLIPS) for argument in ("--only", clip)]
    where = ["--server", pipeline.processes.api_url, "--key", key, "--engines", "ours"]
    command = [sys.executable, "-m", "cli", "eval", str(DATA), *only, *where, "--out", str(out), "--name", "run"]
    return subprocess.run(command, capture_output=True, text=True, timeout=EVAL_TIMEOUT_S)


@pytest.fixture(scope="module")
def run(stub_pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    out = tmp_path_factory.mktemp("eval")
    done = evaluate(stub_pipeline, out, stub_pipeline.new_key())
    assert done.returncode == 0, done.stderr
    found: Mapping[str, Any] = json.loads((out / "run.json").read_text())
    return {**found, "table": done.stdout}


def test_every_clip_is_scored_on_what_the_server_wrote(run: Mapping[str, Any]) -> None:
    assert {score["clip_id"] for score in run["scores"]} == CLIPS
    for score in run["scores"]:
        assert score["engine"] == "server"
        assert score["text"]
        assert score["blocks"]["words"] > 20
        # The stub's words are not those of the recording, so a rate of nought would be of the wrong text.
        assert score["blocks"]["substitutions"] + score["blocks"]["deletions"] > 10


def test_confidence_is_judged(run: Mapping[str, Any]) -> None:
    found = run["rows"][-1]["rates"]["server"]["calibration"]
    assert found["words"] > 10
    assert sum(tenth["words"] for tenth in found["tenths"]) == found["words"]


def test_speakers_are_scored_where_the_reference_has_them(run: Mapping[str, Any]) -> None:
    turns = {score["clip_id"]: score["turns"] for score in run["scores"]}
    assert turns["jfk"] is None
    assert turns["pyannote-sample"]["speech_s"] > 20
    assert run["rows"][-1]["rates"]["server"]["cpwer"] is not None


def test_the_time_is_the_whole_way_and_nothing_is_said_of_what_is_not_seen(run: Mapping[str, Any]) -> None:
    assert all(score["stages"].keys() == {"server"} for score in run["scores"])
    line = [line for line in run["table"].splitlines() if line.startswith("| server | ")][-1]
    seconds, asr, whole, processor, memory = line.strip("| ").split(" | ")[1:]
    assert float(seconds) > 0 and float(whole) > 0
    assert (asr, processor, memory) == ("–", "–", "–")


def test_nothing_of_it_stays_on_the_server(run: Mapping[str, Any], stub_pipeline: Pipeline) -> None:
    assert run["scores"]
    jobs = stub_pipeline.client(TENANT).http.get("/v1/transcriptions").json()["items"]
    assert jobs == []


def test_a_key_that_is_refused_is_said_in_words(stub_pipeline: Pipeline, tmp_path: Path) -> None:
    done = evaluate(stub_pipeline, tmp_path, "nobody")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("palimpsest: ")
    assert "401" in done.stderr and "Traceback" not in done.stderr
