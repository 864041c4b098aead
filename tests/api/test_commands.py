"""Commands against the whole pipeline: each has one outcome, and whoever asks next sees it."""

import asyncio
from collections.abc import Iterator

import httpx
import numpy as np
import psycopg
import pytest

from local.settings import STUB_ENGINES
from local.stack import Stack
from local.workspace import fresh_workspace
from runtime.objects import ObjectStore
from tests.api.test_events import events
from tests.api.test_problems import check_problem
from tests.deadline import until
from tests.e2e.client import Client, Json
from tests.e2e.conftest import Pipeline, running_pipeline
from tests.e2e.recordings import SAMPLE_RATE_HZ, flac

JOB_TIMEOUT_S = 120.0
SWEEP_TIMEOUT_S = 30.0
AT_ONCE = 100
_UNANSWERED = b"""
INSERT INTO idempotency_keys (tenant_id, key, request_id, holder, leased_until)
VALUES ('court', %(key)s, %(request_id)s, 'nobody', '-infinity')
"""
_FORGOTTEN_ANSWERS = b"UPDATE idempotency_keys SET answer_status = NULL, leased_until = '-infinity'"


@pytest.fixture(scope="module")
def pipeline(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """All processes with the stub engine."""
    with (
        fresh_workspace(stack.shared_settings()) as workspace,
        running_pipeline({**workspace, **STUB_ENGINES}, tmp_path_factory.mktemp("pipeline")) as pipeline,
    ):
        yield pipeline


@pytest.fixture(scope="module")
def court(pipeline: Pipeline) -> Client:
    """A client of the tenant `court`."""
    return pipeline.client()


def recording(number: int, duration_s: float = 12.0) -> bytes:
    """Noise that no other job has."""
    random = np.random.default_rng(number)
    return flac((random.normal(size=int(duration_s * SAMPLE_RATE_HZ)) * 3000).astype(np.int16))


def finished(court: Client, number: int, **options: str) -> Json:
    """A job that has ended."""
    job = court.submit(f"take-{number}.flac", recording(number), **options)
    return court.ended(job["id"], JOB_TIMEOUT_S)


@pytest.fixture(scope="module")
def job(court: Client) -> Json:
    """A completed job of two speakers, for tests that do not end it."""
    job = finished(court, 1)
    assert job["status"] == "completed" and len(job["speakers"]) == 2, job
    return job


def segment_of(court: Client, job: Json, index: int = 0) -> tuple[str, Json]:
    """Address and content of a segment."""
    address = f"/v1/transcriptions/{job['id']}/segments"
    segment = court.http.get(address).json()["items"][index]
    return f"{address}/{segment['id']}", segment


def test_a_correction_shows_in_the_next_answer(court: Client, job: Json) -> None:
    address, before = segment_of(court, job)
    tag = {"If-Match": f'"{before["revision"]}"'}
    answer = court.http.patch(address, json={"text": "Completely different words here.", "note": "typo"}, headers=tag)
    assert answer.status_code == 200, answer.text
    after = answer.json()
    assert after["text"] == "Completely different words here." and after["revision"] > before["revision"]
    assert answer.headers["etag"] == f'"{after["revision"]}"'
    assert court.http.get(address).json() == after
    assert court.transcript(job["id"])["segments"][0]["text"] == after["text"]
    check_problem(court.http.patch(address, json={"text": "late"}, headers=tag), 412, "stale_revision")
    hit = court.found("completely different", job=job["id"])[0]
    assert hit["segment_id"] == after["id"] and "<mark>" in hit["highlight"]


def test_a_correction_may_only_change_the_speaker(court: Client, job: Json) -> None:
    address, before = segment_of(court, job)
    other = next(s["id"] for s in job["speakers"] if s["id"] != before["speaker_id"])
    answer = court.http.patch(address, json={"speaker_id": other}, headers={"If-Match": "*"})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["speaker_id"], answer.json()["text"]) == (other, before["text"])


def test_a_correction_needs_a_revision_and_sense(court: Client, job: Json) -> None:
    address, before = segment_of(court, job)
    anything = {"If-Match": "*"}
    check_problem(court.http.patch(address, json={"text": "x"}), 428, "precondition_required")
    weak = {"If-Match": f'W/"{before["revision"]}"'}
    check_problem(court.http.patch(address, json={"text": "x"}, headers=weak), 412, "stale_revision")
    check_problem(court.http.patch(address, json={}, headers=anything), 400, "invalid_request")
    check_problem(court.http.patch(address, json={"text": "  "}, headers=anything), 400, "invalid_request")
    unknown = court.http.patch(address, json={"speaker_id": "spk99"}, headers=anything)
    check_problem(unknown, 422, "unknown_speaker")
    missing = f"/v1/transcriptions/{job['id']}/segments/s999-1"
    check_problem(court.http.patch(missing, json={"text": "x"}, headers=anything), 404, "not_found")


def test_what_is_sent_again_under_its_key_stands_in_the_history_once(court: Client, pipeline: Pipeline) -> None:
    job = finished(court, 8)
    address, segment = segment_of(court, job)
    tag = {"If-Match": f'"{segment["revision"]}"'}
    place = f"/v1/transcriptions/{job['id']}"
    speaker = f"{place}/speakers/spk1"
    for _ in range(2):
        corrected = court.http.patch(address, json={"text": "Said once."}, headers=tag | {"Idempotency-Key": "c-8"})
        named = court.http.put(speaker, json={"name": "Ada"}, headers={"Idempotency-Key": "n-8"})
        assert {corrected.status_code, named.status_code} <= {200, 202}, (corrected.text, named.text)
        # As after a crash between the record and the answer: the key is there, what was answered to it is not.
        with psycopg.connect(pipeline.settings.postgres_dsn) as conn:
            conn.execute(_FORGOTTEN_ANSWERS)
    # What comes last shows that everything before it has its outcome.
    court.http.post(f"{place}/feedback", json={"rating": 4})

    def told() -> list[str]:
        with psycopg.connect(pipeline.settings.postgres_dsn) as conn:
            rows = conn.execute(b"SELECT kind FROM history WHERE job_id = %s", (job["id"],)).fetchall()
        kinds = [kind for (kind,) in rows]
        return kinds if "FeedbackGiven" in kinds else []

    facts = until(told, JOB_TIMEOUT_S, "the job has its feedback")
    assert (facts.count("SegmentsRevised"), facts.count("SpeakerNamed"), facts.count("RequestRefused")) == (1, 1, 0)


def test_what_was_refused_is_refused_again_under_its_key(court: Client, job: Json, pipeline: Pipeline) -> None:
    address, before = segment_of(court, job)
    headers = {"If-Match": "*", "Idempotency-Key": "c-9"}
    for _ in range(2):
        # As after a crash between the record and the answer: the key names the request, and nobody was answered.
        with psycopg.connect(pipeline.settings.postgres_dsn) as conn:
            conn.execute(_UNANSWERED, {"key": "c-9", "request_id": "0b1f6c9e-5d0a-4c43-9a55-4f6d2f1d7c11"})
        answer = court.http.patch(address, json={"speaker_id": "spk99"}, headers=headers)
        check_problem(answer, 422, "unknown_speaker")
    assert court.http.get(address).json() == before


async def test_of_a_hundred_corrections_at_once_exactly_one_wins(court: Client, job: Json) -> None:
    address, before = segment_of(court, job, 1)
    version = court.job(job["id"])["version"]
    headers = {"Authorization": court.http.headers["authorization"], "If-Match": f'"{before["revision"]}"'}
    async with httpx.AsyncClient(base_url=court.http.base_url, headers=headers, timeout=120) as many:
        answers = await asyncio.gather(
            *(many.patch(address, json={"text": f"Version number {n}."}) for n in range(AT_ONCE))
        )
        after = (await many.get(address)).json()
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) <= {200, 202, 412}, statuses
    # A busy machine may answer 202; what became of those is told by the segment: one change, and only one.
    assert statuses.count(200) <= 1
    assert after["text"].startswith("Version number")
    _, found = events(court.http, job["id"])
    revised = [e for e in found if e["event"] == "SegmentsRevised" and e["data"]["seq"] > version]
    assert len(revised) == 1 and revised[0]["data"]["seq"] == after["revision"]
    print(f"{statuses.count(200)} won, {statuses.count(412)} stale, {statuses.count(202)} answered later")


def test_a_name_shows_everywhere(court: Client, job: Json) -> None:
    _, segment = segment_of(court, job, 2)
    address = f"/v1/transcriptions/{job['id']}/speakers/{segment['speaker_id']}"
    answer = court.http.put(address, json={"name": "  Ada   Lovelace "})
    assert answer.status_code == 200 and answer.json()["name"] == "Ada Lovelace"
    assert segment_of(court, job, 2)[1]["speaker"] == "Ada Lovelace"
    assert segment_of(court, job, 2)[1]["revision"] == segment["revision"]
    assert "Ada Lovelace" in court.http.get(f"/v1/transcriptions/{job['id']}/transcript?format=srt").text
    assert court.http.put(address, json={"name": None}).json()["name"] is None
    unknown = f"/v1/transcriptions/{job['id']}/speakers/spk99"
    check_problem(court.http.put(unknown, json={"name": "x"}), 404, "not_found")


def test_feedback_is_part_of_the_history(court: Client, job: Json) -> None:
    address = f"/v1/transcriptions/{job['id']}/feedback"
    first = court.http.post(address, json={"rating": 4, "comment": "good"}, headers={"Idempotency-Key": "f1"})
    again = court.http.post(address, json={"rating": 4, "comment": "good"}, headers={"Idempotency-Key": "f1"})
    assert first.status_code == 200 and again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"
    other = court.http.post(address, json={"rating": 1}, headers={"Idempotency-Key": "f1"})
    check_problem(other, 422, "key_reused")
    check_problem(court.http.post(address, json={"rating": 6}), 400, "invalid_request")
    _, found = events(court.http, job["id"])
    assert [e["event"] for e in found].count("FeedbackGiven") == 1


def test_what_is_over_can_neither_be_cancelled_nor_retried(court: Client, job: Json) -> None:
    for command, code in (("cancel", "already_ended"), ("retry", "nothing_to_retry")):
        answer = court.http.post(f"/v1/transcriptions/{job['id']}/{command}")
        assert (answer.status_code, answer.json()["code"]) == (409, code), answer.text
        assert answer.json()["type"] == "/problems/conflict"


def test_two_speakers_become_one(court: Client, pipeline: Pipeline) -> None:
    merged = finished(court, 2)
    gone, stays = (speaker["id"] for speaker in merged["speakers"])
    address = f"/v1/transcriptions/{merged['id']}/speakers"
    for _ in range(2):  # the second time the key is there, what was answered to it is not, nor the speaker
        key = {"Idempotency-Key": "m-2"}
        answer = court.http.post(f"{address}/{gone}/merge", json={"into": stays}, headers=key)
        assert answer.status_code == 200 and answer.json()["id"] == stays, answer.text
        with psycopg.connect(pipeline.settings.postgres_dsn) as conn:
            conn.execute(_FORGOTTEN_ANSWERS)
    assert [speaker["id"] for speaker in court.http.get(address).json()] == [stays]
    assert {segment["speaker_id"] for segment in court.transcript(merged["id"])["segments"]} <= {stays, None}
    check_problem(court.http.post(f"{address}/{stays}/merge", json={"into": stays}), 400, "invalid_request")
    check_problem(court.http.post(f"{address}/{gone}/merge", json={"into": stays}), 404, "not_found")


def test_a_running_job_can_be_cancelled(court: Client, pipeline: Pipeline) -> None:
    job = court.submit("slow.flac", recording(3), vocabulary="stub:slow=20-task=asr")
    until(lambda: court.job(job["id"])["chunks"]["planned"], JOB_TIMEOUT_S, "the job is cut")
    answer = court.http.post(f"/v1/transcriptions/{job['id']}/cancel")
    assert answer.status_code in (200, 202), answer.text
    assert court.ended(job["id"], JOB_TIMEOUT_S)["status"] == "cancelled"
    store = ObjectStore(pipeline.settings.objects)
    prefix = f"court/{job['id']}/"
    until(lambda: not [*store.keys(prefix + "chunks/")], SWEEP_TIMEOUT_S, "the chunks are deleted")
    assert [*store.keys(prefix)] == [prefix + "audio"] or _only_late_evidence(store, prefix)


def _only_late_evidence(store: ObjectStore, prefix: str) -> bool:
    """Evidence of a batch that was running when its job was cancelled may come after the sweep."""
    return all(key.startswith((prefix + "audio", prefix + "evidence/")) for key in store.keys(prefix))


def test_what_failed_can_be_retried_and_the_chunks_wait_for_it(court: Client, pipeline: Pipeline) -> None:
    failed = finished(court, 4, vocabulary="stub:fail-round=0-task=asr")
    assert failed["status"] == "failed" and failed["failure"]["retryable"], failed
    store = ObjectStore(pipeline.settings.objects)
    assert [*store.keys(f"court/{failed['id']}/chunks/")]
    answer = court.http.post(f"/v1/transcriptions/{failed['id']}/retry")
    assert answer.status_code in (200, 202) and answer.json()["status"] in ("processing", "failed"), answer.text
    until(lambda: court.job(failed["id"])["status"] == "completed", JOB_TIMEOUT_S, "the retry completes the job")
    until(lambda: not [*store.keys(f"court/{failed['id']}/chunks/")], SWEEP_TIMEOUT_S, "the chunks are deleted")
    assert [*store.keys(f"court/{failed['id']}/audio")]


def test_an_erased_job_is_gone_with_all_that_was_kept_of_it(court: Client, pipeline: Pipeline) -> None:
    audio = recording(5)
    job = court.submit("secret name.flac", audio, idempotency_key="erase me")
    court.ended(job["id"], JOB_TIMEOUT_S)
    said = court.transcript(job["id"])["segments"][0]["text"].split()[0]
    court.found(said, job=job["id"])
    address = f"/v1/transcriptions/{job['id']}"
    answer = court.http.delete(address)
    assert answer.status_code in (202, 204), answer.text
    until(lambda: court.http.get(address).status_code == 410, JOB_TIMEOUT_S, "the job is gone")
    check_problem(court.http.delete(address), 410, "gone")
    # Before the answer that was kept for the key is swept away, and after.
    check_problem(_sent_again(court, audio), 410, "gone")
    with pipeline.client("umbrella").http as stranger:
        check_problem(stranger.get(address), 404, "not_found")
    until(lambda: not court.search(said, job=job["id"]), SWEEP_TIMEOUT_S, "search has forgotten it")
    store = ObjectStore(pipeline.settings.objects)
    until(lambda: not [*store.keys(f"court/{job['id']}/")], SWEEP_TIMEOUT_S, "its objects are deleted")
    check_problem(_sent_again(court, audio), 410, "gone")


def _sent_again(court: Client, audio: bytes) -> httpx.Response:
    return court.http.post("/v1/transcriptions", content=audio, headers={"Idempotency-Key": "erase me"})
