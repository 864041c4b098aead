"""Forgotten means gone: a marker that was in a job's text, names and options is in no file any more, and stays away.

So is a word that was recognised, and that nobody corrected.
"""

import io
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import wave
import zipfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import httpx
import numpy as np
import psycopg
import pytest

from local.settings import STUB_ENGINES
from local.stack import Stack
from runtime.objects import ObjectStore
from runtime.topic_reader import read_topic
from schemas.topics import TRANSCRIPTIONS, TRANSCRIPTS
from streams.speech.engines.stub import RARE_LETTERS
from tests.deadline import until
from tests.e2e.client import Client, Json
from tests.e2e.conftest import Pipeline, running_pipeline
from tests.e2e.disk import Disk, disk_of
from tests.e2e.recordings import SAMPLE_RATE_HZ

QUICK = {"PALIMPSEST_NUDGE_PERIOD_S": "2", "PALIMPSEST_SETTLE_S": "12"}
JOB_TIMEOUT_S = 90.0
SHOWN_WITHIN_S = 5.0
OBJECTS_WITHIN_S = 60.0
GONE_WITHIN_S = 60.0
LATE_TIMEOUT_S = 90.0
SPEECH = ("speech-asr", "speech-diarization")
# Where a job's words are while it lives; what the logs and the registry hold must never be among it.
KEPT = {TRANSCRIPTS, "working topics", "tables", "write-ahead log", "index", "objects"}
SAID = KEPT - {"objects"}  # words that were recognised: no object has them


@pytest.fixture(scope="module")
def pipeline(module_workspace: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """Processes that forget within seconds."""
    folder = tmp_path_factory.mktemp("logs")
    temporary = folder / "temporary"
    temporary.mkdir()
    settings = {**module_workspace, **STUB_ENGINES, **QUICK, "PALIMPSEST_TEMP_DIR": str(temporary)}
    with running_pipeline(settings, folder) as running:
        yield running


@pytest.fixture(scope="module")
def disk(pipeline: Pipeline, stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Disk:
    """Everything these processes and the engines write."""
    return disk_of(pipeline.settings, stack.layout.data, (stack.layout.logs, pipeline.processes.folder))


@pytest.fixture(scope="module")
def client(pipeline: Pipeline) -> Client:
    return pipeline.client()


def recording(marker: str, seed: int) -> bytes:
    """Half a minute of noise, in a file that holds the marker itself."""
    noise = np.random.default_rng(seed).normal(size=30 * SAMPLE_RATE_HZ) * 3000
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE_HZ, 0, "NONE", ""))
        file.writeframes(noise.astype("<i2").tobytes())
    note = marker.encode().ljust(64)
    return out.getvalue() + b"LIST" + len(note).to_bytes(4, "little") + note


def forgotten_on(disk: Disk, *markers: str, by_age: Collection[str] = ("working topics",)) -> None:
    """Waits until only what forgets by age holds any marker; which files hold it still is the error."""
    left: dict[str, list[str]] = {}

    def nothing_left() -> bool:
        left.clear()
        left.update({place: names for place, names in disk.holding(*markers).items() if place not in by_age})
        return not left

    try:
        until(nothing_left, GONE_WITHIN_S, "no file holds a marker")
    except AssertionError as late:
        raise AssertionError(f"{late}: {left}") from None


def spoken_of(client: Client, marker: str) -> str:
    """A finished job with the marker everywhere a person can put words."""
    options = {"vocabulary": f"{marker},harbor,stub:rare"}
    accepted = client.submit(f"{marker}.wav", recording(marker, 1), idempotency_key=f"k{marker[::-1]}", **options)
    job_id = str(accepted["id"])
    assert client.ended(job_id, JOB_TIMEOUT_S)["status"] == "completed"
    path = f"/v1/transcriptions/{job_id}"
    first = client.transcript(job_id)["segments"][0]
    changes: list[tuple[str, str, Json, dict[str, str]]] = [
        ("PUT", f"{path}/speakers/{first['speaker_id']}", {"name": f"Mrs {marker}"}, {}),
        (
            "PATCH",
            f"{path}/segments/{first['id']}",
            {"text": f"I am {marker}."},
            {"If-Match": f'"{first["revision"]}"'},
        ),
        (
            "POST",
            f"{path}/feedback",
            {"rating": 2, "comment": f"{marker} it is not"},
            {"Idempotency-Key": "f" + job_id},
        ),
    ]
    for method, where, body, headers in changes:
        assert client.http.request(method, where, json=body, headers=headers).status_code in (200, 202)
    client.found(marker, 30.0)
    return job_id


def recognised(client: Client, job_id: str) -> str:
    """A word that only this job has, that nobody wrote anywhere and that stands in a segment that nobody corrected."""
    segments = client.transcript(job_id)["segments"]
    last = segments[-1]
    assert last["revision"] < segments[0]["revision"]  # which was corrected
    word = str(last["text"].split()[-1])
    assert len(word) > RARE_LETTERS
    return word


def erase(client: Client, job_id: str) -> None:
    assert client.http.delete(f"/v1/transcriptions/{job_id}").status_code in (202, 204)


def gone(client: Client, job_id: str) -> bool:
    return client.http.get(f"/v1/transcriptions/{job_id}").status_code == httpx.codes.GONE


def objects(pipeline: Pipeline, job_id: str) -> list[str]:
    return [key for key in ObjectStore(pipeline.settings.objects).keys("") if job_id in key]


def facts(pipeline: Pipeline, job_id: str) -> list[bytes]:
    """Keys of the job's last records on `transcripts` that still have a value."""
    last = {record.key or b"": record.value for record in read_topic(pipeline.settings.kafka, TRANSCRIPTS)}
    return [key for key, value in last.items() if key.startswith(job_id.encode()) and value is not None]


def _on_disk(pipeline: Pipeline) -> None:
    """Has the engines write what they hold in memory, the planner's samples included, as they do now and then."""
    with psycopg.connect(pipeline.settings.postgres_dsn, autocommit=True) as conn:
        conn.execute("ANALYZE")
        conn.execute("CHECKPOINT")
    search = pipeline.settings.opensearch
    httpx.post(f"{search.url}/{search.index_prefix}segments/_flush", timeout=30).raise_for_status()


def archived(content: bytes) -> dict[str, bytes]:
    """Files of a zip."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        assert file.testzip() is None
        return {name: file.read(name) for name in file.namelist()}


def test_everything_held_about_a_job_or_a_tenant_can_be_had(pipeline: Pipeline, tmp_path: Path) -> None:
    marker = "zq" + secrets.token_hex(8)
    client, stranger = pipeline.client("asker"), pipeline.client("stranger")
    job_id = spoken_of(client, marker)
    answer = client.http.get(f"/v1/transcriptions/{job_id}/archive")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    assert stranger.http.get(f"/v1/transcriptions/{job_id}/archive").status_code == httpx.codes.NOT_FOUND

    files = archived(answer.content)
    assert files[f"objects/{job_id}/audio"] == recording(marker, 1)
    facts = [json.loads(line) for line in files["topics/transcripts.jsonl"].splitlines()]
    kinds = [fact["type"] for fact in facts]
    assert {"JobAccepted", "SegmentsPublished", "SegmentsRevised", "SpeakerNamed", "FeedbackGiven"} <= set(kinds)
    revised = facts[kinds.index("SegmentsRevised")]["record"]
    assert revised["actor"].startswith("key:") and marker in json.dumps(revised)
    asked = [json.loads(line)["type"] for line in files["topics/corrections.jsonl"].splitlines()]
    assert sorted(asked) == ["CorrectionSubmitted", "SpeakerNameSubmitted"]
    assert json.loads(files[f"transcripts/{job_id}.json"])["segments"]
    assert marker.encode() in files["tables/idempotency_keys.jsonl"]

    path = tmp_path / "all.zip"
    done = command(pipeline, "access-export", "--tenant", "asker", "-o", str(path))
    assert done.returncode == 0, done.stderr
    whole = archived(path.read_bytes())
    assert whole["topics/transcripts.jsonl"] == files["topics/transcripts.jsonl"]
    assert b"secret" not in whole["tables/api_keys.jsonl"] and b"asker" in whole["tables/api_keys.jsonl"]
    assert set(archived(client.http.get("/v1/archive").content)) == set(whole)
    assert json.loads(archived(stranger.http.get("/v1/archive").content)["manifest.json"])["jobs"] == []


def command(pipeline: Pipeline, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One operator command."""
    words = (sys.executable, "-m", "cli", *arguments)
    return subprocess.run(
        words, env={**os.environ, **pipeline.environment}, capture_output=True, text=True, check=False
    )


def test_what_was_said_and_named_is_in_no_file_any_more(pipeline: Pipeline, client: Client, disk: Disk) -> None:
    marker = "zq" + secrets.token_hex(8)
    job_id = spoken_of(client, marker)
    word = recognised(client, job_id)
    _on_disk(pipeline)
    assert (set(disk.holding(marker)), set(disk.holding(word))) == (KEPT, SAID)  # or it would prove nothing

    begun = time.monotonic()
    erase(client, job_id)
    until(
        lambda: gone(client, job_id) and not client.search(marker) and not client.search(word),
        SHOWN_WITHIN_S,
        "views and search forget",
    )
    until(lambda: not objects(pipeline, job_id), OBJECTS_WITHIN_S, "the objects are gone")
    forgotten_on(disk, marker, word)
    print(f"erasure: no file holds marker or word {time.monotonic() - begun:.1f} s after DELETE")
    report = until(lambda: _finished_report(pipeline, job_id), GONE_WITHIN_S, "the report finds nothing left")
    assert {place["name"]: place["state"] for place in report["places"] if place["state"] != "gone"} == {
        "working topics": "to come",
        "dead-letters": "to come",
    }
    assert client.http.get(f"/v1/transcriptions/{job_id}/archive").status_code == httpx.codes.GONE

    _on_disk(pipeline)
    assert set(disk.holding(marker, word)) <= {"working topics"}
    assert facts(pipeline, job_id) == [_erasure(pipeline, job_id)]
    assert _statistics(pipeline, marker) == _statistics(pipeline, word) == []


def _finished_report(pipeline: Pipeline, job_id: str) -> Json | None:
    done = command(pipeline, "erasure-report", job_id, "--json")
    document: Json = json.loads(done.stdout)
    # On a busy machine a bound may pass while we look: 1 instead of 6.
    assert document["waiting"] == (done.returncode != 0), done.stderr
    return None if document["waiting"] else document


def _erasure(pipeline: Pipeline, job_id: str) -> bytes:
    with psycopg.connect(pipeline.settings.postgres_dsn) as conn:
        row = conn.execute("SELECT seq FROM job_erasure WHERE job_id = %s", (job_id,)).fetchone()
    assert row is not None
    return f"{job_id}/{row[0]}".encode()


def _statistics(pipeline: Pipeline, marker: str) -> list[str]:
    query = "SELECT attname FROM pg_stats WHERE concat(most_common_vals::text, histogram_bounds::text) LIKE %s"
    with psycopg.connect(pipeline.settings.postgres_dsn) as conn:
        return [row[0] for row in conn.execute(query, (f"%{marker}%",))]


def test_what_wakes_after_the_erasure_brings_nothing_back(pipeline: Pipeline, client: Client, disk: Disk) -> None:
    marker = "zq" + secrets.token_hex(8)
    job = client.submit(f"{marker}.wav", recording(marker, 2), vocabulary=f"stub:slow=4,{marker}")
    job_id = str(job["id"])
    until(lambda: client.job(job_id)["status"] == "processing", JOB_TIMEOUT_S, "the models are at it")
    pipeline.processes.signal(signal.SIGSTOP, *SPEECH)
    try:
        erase(client, job_id)
        until(lambda: gone(client, job_id) and not objects(pipeline, job_id), OBJECTS_WITHIN_S, "it is erased")
        # The last look comes after an hour, here after seconds, which the models may need to wake on a busy machine.
        _noticed(pipeline, job_id, hours=1)
    finally:
        pipeline.processes.signal(signal.SIGCONT, *SPEECH)
    until(lambda: _answered(pipeline, job_id), LATE_TIMEOUT_S, "the models answer what they had begun")
    _noticed(pipeline, job_id, hours=-1)
    until(lambda: _settled(pipeline, job_id), LATE_TIMEOUT_S, "the erasure is settled")
    assert gone(client, job_id)
    assert objects(pipeline, job_id) == []
    assert facts(pipeline, job_id) == [_erasure(pipeline, job_id)]
    # A worker that was stopped in the middle of a batch may blame the chunk for it, and dead letters go by age, too.
    forgotten_on(disk, marker, by_age=("working topics", "dead-letters"))


def _answered(pipeline: Pipeline, job_id: str) -> bool:
    pipeline.processes.restart_ended()
    found = [record for record in read_topic(pipeline.settings.kafka, TRANSCRIPTIONS) if record.key == job_id.encode()]
    return len(found) >= len(SPEECH)


def _noticed(pipeline: Pipeline, job_id: str, hours: int) -> None:
    """Moves the moment from which the last look at an open erasure is counted."""
    query = """
        UPDATE erasures SET noticed_at = noticed_at + make_interval(hours => %s)
        WHERE job_id = %s AND settled_at IS NULL
    """
    with psycopg.connect(pipeline.settings.postgres_dsn) as conn:
        assert conn.execute(query, (hours, job_id)).rowcount == 1


def _settled(pipeline: Pipeline, job_id: str) -> bool:
    query = "SELECT 1 FROM erasures WHERE job_id = %s AND settled_at IS NOT NULL"
    with psycopg.connect(pipeline.settings.postgres_dsn) as conn:
        return conn.execute(query, (job_id,)).fetchone() is not None


def test_a_projector_that_was_paused_forgets_when_it_wakes(pipeline: Pipeline, client: Client) -> None:
    marker = "zq" + secrets.token_hex(8)
    job_id = spoken_of(client, marker)
    pipeline.processes.signal(signal.SIGSTOP, "projector")
    try:
        assert client.http.delete(f"/v1/transcriptions/{job_id}").status_code == httpx.codes.ACCEPTED
    finally:
        pipeline.processes.signal(signal.SIGCONT, "projector")
    until(lambda: gone(client, job_id) and not client.search(marker), LATE_TIMEOUT_S, "views and search forget")
    until(lambda: not objects(pipeline, job_id), OBJECTS_WITHIN_S, "the objects are gone")
