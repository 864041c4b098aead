"""A whole run of all processes, with everything going wrong that can: no log holds what was said, or a secret.

And hostile files from the upload to the failed job: a code, a sentence, and nothing of them left to work on.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from api.accounts.keys import create_key
from local.settings import STUB_ENGINES
from runtime.objects import ObjectStore
from tests.deadline import until
from tests.e2e.client import Client, Json
from tests.e2e.conftest import TENANT, Pipeline, running_pipeline
from tests.hostile.corpus.bombs import silent_flac
from tests.hostile.corpus.lies import lies
from tests.hostile.corpus.references import references
from tests.hostile.corpus.targets import watched
from tests.streams.chunker.recordings import RECIPES, media_file, noise

ENDED_TIMEOUT_S = 120.0
SWEPT_TIMEOUT_S = 60.0
MAX_AUDIO_S = 120
# Words that nothing else in a log could be.
FILE_NAME, SPEAKER, TEXT, NOTE = "zqfilename", "zqspeaker", "zqtestimony", "zqannotation"
TERM, QUERY, COMMENT, PATH = "zqvocabulary", "zqquestion", "zqopinion", "zqaddress"
WORDS = (FILE_NAME, SPEAKER, TEXT, NOTE, TERM, QUERY, COMMENT, PATH)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="module")
def pipeline(module_workspace: Mapping[str, str], logs: Path) -> Iterator[Pipeline]:
    """All processes, as talkative as they can be."""
    talkative = {"PALIMPSEST_LOG_LEVEL": "debug", "PALIMPSEST_MAX_AUDIO_S": str(MAX_AUDIO_S)}
    with running_pipeline({**module_workspace, **STUB_ENGINES, **talkative}, logs) as running:
        yield running


@pytest.fixture(scope="module")
def client(pipeline: Pipeline) -> Client:
    return pipeline.client()


def _failed(client: Client, name: str, data: bytes) -> Json:
    job = client.ended(client.submit(name, data)["id"], ENDED_TIMEOUT_S)
    assert job["status"] == "failed", job
    failure: Json = job["failure"]
    assert failure["message"].endswith(".")
    return failure


def test_hostile_files_end_as_failed_jobs_with_a_reason(client: Client, tmp_path: Path) -> None:
    with watched(tmp_path) as (targets, touched):
        named = references(targets)
        wanted = {
            "list.m3u8": (named["hls-file.m3u8"], "not_audio"),
            "song.wav": (named["concat-relative.wav"], "not_audio"),
            "../../../day.mp3": (lies()["claims-a-day.mp3"], "too_long"),
            "film.mp4": (lies()["no-sound.mp4"], "no_audio_track"),
            "secret.mp4": (lies()["encrypted.mp4"], "protected"),
        }
        codes = {name: _failed(client, name, data)["code"] for name, (data, _) in wanted.items()}
    assert codes == {name: code for name, (_, code) in wanted.items()}
    assert (touched.reads, touched.connections) == (0, 0)


def test_a_length_that_was_not_stated_takes_its_chunks_back(client: Client, pipeline: Pipeline) -> None:
    job = client.submit("silence.flac", silent_flac(10 * MAX_AUDIO_S, claimed_s=0))
    failure = client.ended(job["id"], ENDED_TIMEOUT_S)["failure"]
    assert (failure["code"], failure["retryable"]) == ("too_long", False)
    store = ObjectStore(pipeline.settings.objects)
    prefix = f"{TENANT}/{job['id']}/chunks/"
    until(lambda: not list(store.keys(prefix)), SWEPT_TIMEOUT_S, "the chunks are deleted")


def test_no_log_holds_what_was_said_or_a_secret(client: Client, pipeline: Pipeline, logs: Path) -> None:
    _say_everything(client)
    _provoke_errors(client, pipeline)
    secrets = [value for name, value in pipeline.environment.items() if "SECRET" in name or "PASSWORD" in name]
    secrets += [client.http.headers["authorization"].removeprefix("Bearer "), _password(pipeline)]
    hits = [
        (path.name, word, line[:300])
        for path in _log_files(pipeline, logs)
        for line in path.read_text(errors="replace").splitlines()
        for word in (*WORDS, *(secret for secret in secrets if secret))
        if word in line
    ]
    assert hits == []
    assert sum(path.stat().st_size for path in logs.iterdir()) > 1_000


def _say_everything(client: Client) -> None:
    """A recording with a name and vocabulary, corrected, named, judged, searched for, exported."""
    sound = media_file(noise(20_000, -25.0), RECIPES["flac"])
    job = client.submit(f"{FILE_NAME}.flac", sound, vocabulary=TERM, idempotency_key=f"{FILE_NAME}-1")
    job = client.ended(job["id"], ENDED_TIMEOUT_S)
    assert job["status"] == "completed", job
    where = f"/v1/transcriptions/{job['id']}"
    segment = client.transcript(job["id"])["segments"][0]
    body = {"text": f"{TEXT} {TEXT}", "note": NOTE}
    tag = {"If-Match": f'"{segment["revision"]}"'}
    assert client.http.patch(f"{where}/segments/{segment['id']}", json=body, headers=tag).status_code == 200
    assert client.http.patch(f"{where}/segments/{segment['id']}", json=body, headers=tag).status_code == 412
    speaker = client.transcript(job["id"])["speakers"][0]["id"]
    assert client.http.put(f"{where}/speakers/{speaker}", json={"name": SPEAKER}).status_code == 200
    assert client.http.post(f"{where}/feedback", json={"rating": 2, "comment": COMMENT}).is_success
    assert client.found(TEXT)
    for form in ("srt", "vtt", "txt", "json"):
        assert TEXT in client.http.get(f"{where}/transcript", params={"format": form}).text


def _provoke_errors(client: Client, pipeline: Pipeline) -> None:
    """Everything that makes a process complain, with words in it."""
    client.http.get("/v1/search", params={"q": f'"{QUERY} ((* {QUERY}~'})
    client.http.get("/v1/search", params={"q": QUERY, "from": QUERY, "speaker": QUERY, "cursor": QUERY})
    client.http.get(f"/v1/transcriptions/{PATH}/segments/{PATH}%00", params={"x": QUERY})
    client.http.get(f"/{PATH}?{QUERY}={QUERY}", headers={"Authorization": f"Bearer pal_{PATH}"})
    client.http.post("/v1/transcriptions", content=b"x", params={TERM: TERM, "language": TERM})
    client.http.post("/v1/transcriptions", content=f"{TEXT} is no sound".encode(), headers={"Idempotency-Key": NOTE})
    client.http.post(f"/v1/transcriptions/{PATH}/feedback", content=f'{{"comment": "{COMMENT}", "{NOTE}": 1'.encode())
    _failed(client, f"{FILE_NAME}.wav", f"#EXTM3U\n{TEXT}\n".encode())
    assert create_key(pipeline.settings.postgres_dsn, TENANT, "another")


def _password(pipeline: Pipeline) -> str:
    return pipeline.settings.postgres_dsn.partition("//")[2].partition("@")[0].partition(":")[2]


def _log_files(pipeline: Pipeline, logs: Path) -> list[Path]:
    """The logs of our processes, and those of the engines where they can be found."""
    home = Path(os.environ.get("PALIMPSEST_TEST_HOME", Path(__file__).parents[2] / ".palimpsest" / "test"))
    return [*logs.glob("*.log"), *(path for path in (home / "logs").rglob("*") if path.is_file())]
