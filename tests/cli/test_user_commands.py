"""The user commands against a whole running system with the stub speech engine."""

import json
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from api.accounts.keys import create_key
from bench.recordings import noise
from cli.errors import Exit
from cli.main import run
from local.settings import STUB_ENGINES
from tests.deadline import until
from tests.e2e.conftest import TENANT, Pipeline, running_pipeline

RECORDING_S = 8.0
FOUND_WITHIN_S = 15.0
Output = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def pipeline(module_workspace: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with running_pipeline({**module_workspace, **STUB_ENGINES}, tmp_path_factory.mktemp("logs")) as running:
        yield running


@pytest.fixture(scope="module")
def key(pipeline: Pipeline) -> str:
    return create_key(pipeline.settings.postgres_dsn, TENANT, "command line")


@pytest.fixture(autouse=True)
def _server(pipeline: Pipeline, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command of these tests talks to the pipeline."""
    monkeypatch.setenv("PALIMPSEST_URL", pipeline.processes.api_url)
    monkeypatch.setenv("PALIMPSEST_KEY", key)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three different recordings."""
    folder = tmp_path_factory.mktemp("recordings")
    files = [folder / f"talk {number} ü.flac" for number in range(3)]
    for number, file in enumerate(files):
        file.write_bytes(noise(number, RECORDING_S))
    return files


def _jobs(output: Output) -> list[dict[str, Any]]:
    output.readouterr()
    assert run(["jobs", "--json", "--limit", "150"]) == Exit.DONE
    found: list[dict[str, Any]] = json.loads(output.readouterr().out)
    return found


def _job_of(output: Output, file: Path) -> dict[str, Any]:
    return next(job for job in _jobs(output) if job["file_name"] == file.name)


def test_a_file_becomes_a_transcript_once(recordings: list[Path], capsys: Output) -> None:
    assert run(["transcribe", str(recordings[0])]) == Exit.DONE
    first = capsys.readouterr()
    assert len(first.out.split()) > 3
    assert "uploading 100%" in first.err
    assert run(["transcribe", str(recordings[0])]) == Exit.DONE
    assert capsys.readouterr().out == first.out
    assert [job["file_name"] for job in _jobs(capsys)].count(recordings[0].name) == 1


def test_several_files_become_a_folder_of_subtitles(recordings: list[Path], tmp_path: Path, capsys: Output) -> None:
    files = [str(file) for file in recordings]
    assert run(["transcribe", *files, "--format", "srt", "-o", str(tmp_path / "subs")]) == Exit.DONE
    assert sorted(path.name for path in (tmp_path / "subs").iterdir()) == [f"{file.stem}.srt" for file in recordings]
    assert all("-->" in path.read_text() for path in (tmp_path / "subs").iterdir())


def test_one_bad_file_does_not_stop_the_others(recordings: list[Path], tmp_path: Path, capsys: Output) -> None:
    notes = tmp_path / "notes.wav"
    notes.write_bytes(b"These are notes, not audio.\n" * 50)
    assert run(["transcribe", str(notes), str(recordings[1])]) == Exit.FAILED
    said = capsys.readouterr()
    assert f"==> {recordings[1].name} <==" in said.out
    assert "notes.wav: " in said.err and "not_audio" in said.err


def test_not_waiting_prints_the_job(recordings: list[Path], capsys: Output) -> None:
    assert run(["transcribe", str(recordings[2]), "--no-wait"]) == Exit.DONE
    job_id = capsys.readouterr().out.split()[0]
    assert run(["jobs", job_id]) == Exit.DONE
    assert recordings[2].name in capsys.readouterr().out


def test_jobs_are_listed_and_shown(recordings: list[Path], capsys: Output) -> None:
    run(["transcribe", str(recordings[0])])
    job = _job_of(capsys, recordings[0])
    assert run(["jobs", "--status", "completed"]) == Exit.DONE
    listed = capsys.readouterr().out
    assert job["id"] in listed and "0:00:08" in listed
    assert run(["jobs", job["id"]]) == Exit.DONE
    assert "completed, done, 100%" in capsys.readouterr().out


def test_what_was_said_is_found(recordings: list[Path], capsys: Output) -> None:
    run(["transcribe", str(recordings[0]), "--format", "json"])
    transcript = json.loads(capsys.readouterr().out)
    segment = transcript["segments"][0]
    word = segment["words"][0]["text"].strip(".,")

    def found() -> str:
        assert run(["search", word, "--job", transcript["id"]]) == Exit.DONE
        return capsys.readouterr().out

    line = until(found, FOUND_WITHIN_S, f"search finds {word!r}").splitlines()[0]
    assert line.startswith("0:00:0")
    assert word in line and recordings[0].name in line and "<mark>" not in line
    assert run(["search", "submarine"]) == Exit.DONE
    assert "nothing found" in capsys.readouterr().err


def test_a_transcript_is_exported_by_its_ending(recordings: list[Path], tmp_path: Path, capsys: Output) -> None:
    run(["transcribe", str(recordings[0])])
    job = _job_of(capsys, recordings[0])
    assert run(["export", job["id"], "-o", str(tmp_path / "new" / "talk.vtt")]) == Exit.DONE
    assert (tmp_path / "new" / "talk.vtt").read_text().startswith("WEBVTT")
    assert run(["export", job["id"], "--format", "json"]) == Exit.DONE
    assert json.loads(capsys.readouterr().out)["id"] == job["id"]


def test_what_the_state_rules_out_is_one_sentence(recordings: list[Path], capsys: Output) -> None:
    run(["transcribe", str(recordings[0])])
    job = _job_of(capsys, recordings[0])
    assert run(["cancel", job["id"]]) == Exit.FAILED
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert run(["retry", job["id"]]) == Exit.FAILED


def test_a_running_job_is_cancelled(tmp_path: Path, capsys: Output) -> None:
    file = tmp_path / "slow.flac"
    file.write_bytes(noise(77, RECORDING_S))
    run(["transcribe", str(file), "--no-wait", "--vocabulary", "stub:slow=8"])
    job_id = capsys.readouterr().out.split()[0]
    assert run(["cancel", job_id]) == Exit.DONE
    assert "cancelled" in capsys.readouterr().out


def test_an_erased_file_is_only_sent_anew_on_purpose(tmp_path: Path, capsys: Output) -> None:
    file = tmp_path / "secret.flac"
    file.write_bytes(noise(99, RECORDING_S))
    assert run(["transcribe", str(file)]) == Exit.DONE
    job = _job_of(capsys, file)
    assert run(["delete", job["id"]]) == Exit.USAGE  # nobody is there to confirm
    assert run(["delete", job["id"], "--yes"]) == Exit.DONE
    until(lambda: run(["jobs", job["id"]]) == Exit.NOT_FOUND, FOUND_WITHIN_S, "the job is gone")
    capsys.readouterr()
    assert run(["transcribe", str(file)]) == Exit.NOT_FOUND
    assert "--again" in capsys.readouterr().err
    assert run(["transcribe", str(file), "--again"]) == Exit.DONE


def test_a_wrong_key_is_refused_in_words(capsys: Output) -> None:
    assert run(["jobs", "--key", "pal_wrong"]) == Exit.DENIED
    assert "pal_wrong" not in capsys.readouterr().err


def test_a_proxy_that_lets_no_events_through_is_worked_around(
    recordings: list[Path], pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    with _Proxy(pipeline.processes.api_url) as url:
        monkeypatch.setenv("PALIMPSEST_URL", url)
        assert run(["transcribe", str(recordings[0]), "--again"]) == Exit.DONE
    assert capsys.readouterr().out


class _Proxy(ThreadingHTTPServer):
    """Passes everything on but events."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = target

    def __enter__(self) -> str:  # type: ignore[override]  # what its user needs is the address
        Thread(target=self.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server_port}"

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._pass_on(b"")

    def do_POST(self) -> None:
        self._pass_on(self.rfile.read(int(self.headers["Content-Length"])))

    def _pass_on(self, body: bytes) -> None:
        server = self.server
        assert isinstance(server, _Proxy)
        if self.path.endswith("/events"):
            self.send_error(403)
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        answer = httpx.request(self.command, server.target + self.path, content=body, headers=headers, timeout=60)
        self.send_response(answer.status_code)
        self.send_header("Content-Type", answer.headers["content-type"])
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, format: str, *args: object) -> None:
        """A test has no access log."""
