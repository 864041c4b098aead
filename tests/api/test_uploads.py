"""Handing in recordings: raw and as a form, large and small, once and again."""

import asyncio
import hashlib
import http.client
import json
import time
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from confluent_kafka import Consumer, TopicPartition

from runtime.objects import ObjectStore
from runtime.registry import Registry
from schemas.codec import Codec
from schemas.identity import is_job_id, job_id_for
from schemas.records import UploadReceived
from tests.api.conftest import MAX_UPLOAD_BYTES, Server
from tests.api.test_problems import check_problem

MIB = 1024 * 1024
LARGE_BYTES = 200_000_000
ALLOWED_GROWTH_BYTES = 20_000_000


def stream(size: int, piece: int = 256 * 1024) -> Iterator[bytes]:
    """So many bytes."""
    block = bytes(range(256)) * (piece // 256)
    while size > 0:
        yield block[:size]
        size -= piece


def form(size: int) -> tuple[str, Iterator[bytes]]:
    """A form with a file of so many bytes, and its content type."""
    head = (
        b'--b\r\nContent-Disposition: form-data; name="language"\r\n\r\nen\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="long.wav"\r\nContent-Type: audio/wav\r\n\r\n'
    )

    def body() -> Iterator[bytes]:
        yield head
        yield from stream(size)
        yield b"\r\n--b--\r\n"

    return "multipart/form-data; boundary=b", body()


def uploads_of(server: Server, job_id: str) -> list[UploadReceived]:
    """The records of a job on the upload topics."""
    settings = server.settings
    codec = Codec(Registry(settings.registry_url))
    topics = [settings.kafka.topic(name) for name in ("uploads", "uploads.long")]
    consumer = Consumer(
        {"bootstrap.servers": settings.kafka.bootstrap, "group.id": "check", "enable.auto.commit": False}
    )
    found = []
    try:
        for topic in topics:
            for partition in range(settings.kafka.partitions):
                place = TopicPartition(topic, partition, 0)
                end = consumer.get_watermark_offsets(place, timeout=10)[1]
                consumer.assign([place])
                while end and (message := consumer.poll(10)) is not None and message.error() is None:
                    record = codec.decode(message.value() or b"")
                    if isinstance(record, UploadReceived) and record.job_id == job_id:
                        found.append(record)
                    if (message.offset() or 0) + 1 >= end:
                        break
    finally:
        consumer.close()
    return found


def test_a_raw_body_becomes_an_object_an_event_and_a_job(server: Server, client: httpx.Client) -> None:
    audio = b"RIFF not really" * 1000
    answer = client.post(
        "/v1/transcriptions?language=EN&diarize=false&vocabulary=Ada,%20Lovelace&vocabulary=Ada",
        content=audio,
        headers={"Content-Type": "audio/wav", "Content-Disposition": "attachment; filename*=UTF-8''na%C3%AFve.wav"},
    )
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert answer.headers["location"] == f"/v1/transcriptions/{job['id']}" == job["links"]["self"]
    assert int(answer.headers["retry-after"]) > 0
    assert (job["status"], job["stage"], job["file_name"]) == ("queued", "uploaded", "naïve.wav")
    assert (job["media_type"], job["size_bytes"]) == ("audio/wav", len(audio))
    assert job["sha256"] == hashlib.sha256(audio).hexdigest()
    assert job["options"] == {
        "language": "en",
        "diarize": False,
        "num_speakers": None,
        "min_speakers": None,
        "max_speakers": None,
        "vocabulary": ["Ada", "Lovelace"],
        "languages": [],
        "task": "transcribe",
        "prompt": None,
        "quality": "balanced",
    }
    assert client.get(answer.headers["location"]).json() == job
    assert client.get("/v1/transcriptions?limit=1").json()["items"][0] == job
    (record,) = uploads_of(server, job["id"])
    assert record.audio.key == f"acme/{job['id']}/audio" and record.actor.startswith("key:")
    assert ObjectStore(server.settings.objects).get(record.audio.key) == audio


def test_a_form_may_name_its_options_before_and_after_the_file(client: httpx.Client) -> None:
    answer = client.post(
        "/v1/transcriptions",
        files=[
            ("min_speakers", (None, "2")),
            ("file", ("C:\\talks\\talk.mp3", b"bytes", "audio/mpeg")),
            ("max_speakers", (None, "3")),
        ],
    )
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert (job["file_name"], job["media_type"]) == ("talk.mp3", "audio/mpeg")
    assert (job["options"]["min_speakers"], job["options"]["max_speakers"]) == (2, 3)


def test_a_media_type_is_words_whatever_a_form_calls_it(client: httpx.Client) -> None:
    answer = client.post("/v1/transcriptions", files={"file": ("a.wav", b"bytes", "Audio/\x00WAV; rate=8000")})
    assert answer.status_code == 202, answer.text
    assert answer.json()["media_type"] == "audio/wav"


@pytest.mark.parametrize("shape", ["raw", "form"])
def test_memory_stays_flat_over_a_long_upload(server: Server, client: httpx.Client, shape: str) -> None:
    client.post("/v1/transcriptions", content=stream(20 * MIB)).raise_for_status()  # what is loaded once is loaded
    before, most = server.rss_bytes(), 0

    def watched(body: Iterator[bytes]) -> Iterator[bytes]:
        nonlocal most
        for number, piece in enumerate(body):
            if number % 16 == 0:
                most = max(most, server.rss_bytes())
            yield piece

    kind, body = form(LARGE_BYTES) if shape == "form" else ("audio/wav", stream(LARGE_BYTES))
    began = time.monotonic()
    answer = client.post("/v1/transcriptions", content=watched(body), headers={"Content-Type": kind})
    assert answer.status_code == 202, answer.text
    print(f"{shape}: {LARGE_BYTES} bytes in {time.monotonic() - began:.2f} s, grew by {(most - before) / MIB:.1f} MiB")
    assert answer.json()["size_bytes"] == LARGE_BYTES
    assert most - before < ALLOWED_GROWTH_BYTES
    expected = hashlib.sha256()
    for piece in stream(LARGE_BYTES):
        expected.update(piece)
    assert answer.json()["sha256"] == expected.hexdigest()
    (record,) = uploads_of(server, answer.json()["id"])
    assert ObjectStore(server.settings.objects).size(record.audio.key) == LARGE_BYTES


@pytest.mark.parametrize("size", [8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 16 * MIB])
def test_sizes_around_a_part_are_stored_whole(server: Server, client: httpx.Client, size: int) -> None:
    job = client.post("/v1/transcriptions", content=stream(size)).json()
    stored = hashlib.sha256()
    for piece in ObjectStore(server.settings.objects).stream(f"acme/{job['id']}/audio"):
        stored.update(piece)
    assert (job["size_bytes"], job["sha256"]) == (size, stored.hexdigest())


@pytest.mark.parametrize(
    ("query", "pointers"),
    [
        ("lang=en", ["/lang"]),
        ("language=klingon", ["/language"]),
        ("language=en&language=de", ["/language"]),
        ("diarize=perhaps&num_speakers=0", ["/diarize", "/num_speakers"]),
        ("num_speakers=33", ["/num_speakers"]),
        ("num_speakers=2&min_speakers=1", ["/num_speakers"]),
        ("min_speakers=3&max_speakers=2", ["/min_speakers"]),
        ("vocabulary=" + "a" * 101, ["/vocabulary"]),
        ("vocabulary=" + ",".join(map(str, range(101))), ["/vocabulary"]),
    ],
)
def test_options_that_make_no_sense_are_named(client: httpx.Client, query: str, pointers: list[str]) -> None:
    problem = check_problem(client.post(f"/v1/transcriptions?{query}", content=b"x"), 400, "invalid_request")
    assert [error["pointer"] for error in problem["errors"]] == pointers
    fields = [tuple(part.split("=", 1)) for part in query.split("&")]
    files: list[tuple[str, tuple[str | None, bytes]]] = [(name, (None, value.encode())) for name, value in fields]
    files.append(("file", ("x.wav", b"x")))
    problem = check_problem(client.post("/v1/transcriptions", files=files), 400, "invalid_request")
    assert [(error["in"], error["pointer"]) for error in problem["errors"]] == [("body", p) for p in pointers]


def test_an_empty_file_is_refused(client: httpx.Client) -> None:
    check_problem(client.post("/v1/transcriptions", content=b""), 422, "empty_upload")
    check_problem(client.post("/v1/transcriptions", files={"file": ("x.wav", b"")}), 422, "empty_upload")


def test_a_form_without_a_file_or_with_two_is_refused(client: httpx.Client) -> None:
    for files in ([("other", ("x.wav", b"x"))], [("file", ("x.wav", b"x")), ("file", ("y.wav", b"y"))]):
        problem = check_problem(client.post("/v1/transcriptions", files=files), 400, "invalid_request")
        assert problem["errors"]


@pytest.mark.parametrize("body", [b"", b"no form", b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nhalf'])
def test_a_broken_form_is_refused(client: httpx.Client, body: bytes) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    check_problem(client.post("/v1/transcriptions", content=body, headers=headers), 400, "invalid_request")


def test_a_form_without_a_boundary_is_refused(client: httpx.Client) -> None:
    headers = {"Content-Type": "multipart/form-data"}
    check_problem(client.post("/v1/transcriptions", content=b"x", headers=headers), 400, "invalid_request")


def test_too_many_bytes_are_refused_by_their_announcement(client: httpx.Client) -> None:
    """The refusal comes before the body is read: only its first bytes were ever sent."""
    connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port or 80)
    try:
        connection.putrequest("POST", "/v1/transcriptions")
        connection.putheader("Authorization", client.headers["authorization"])
        connection.putheader("Content-Length", str(MAX_UPLOAD_BYTES + 1))
        connection.endheaders()
        answer = connection.getresponse()
        assert (answer.status, json.load(answer)["code"]) == (413, "too_large")
    finally:
        connection.close()


def test_too_many_bytes_are_refused_while_they_arrive(client: httpx.Client) -> None:
    answer = client.post("/v1/transcriptions", content=stream(MAX_UPLOAD_BYTES + 1))
    check_problem(answer, 413, "too_large")


def test_the_same_key_names_the_same_job_and_answer(server: Server, client: httpx.Client) -> None:
    first = client.post("/v1/transcriptions", content=b"same", headers={"Idempotency-Key": '"one"'})
    again = client.post("/v1/transcriptions", content=b"same", headers={"Idempotency-Key": "one"})
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    assert first.json()["id"] == job_id_for("acme", "one")
    assert len(uploads_of(server, first.json()["id"])) == 1


def test_the_same_key_with_another_body_or_options_is_refused(client: httpx.Client) -> None:
    headers = {"Idempotency-Key": "two"}
    client.post("/v1/transcriptions", content=b"same", headers=headers).raise_for_status()
    check_problem(client.post("/v1/transcriptions", content=b"other", headers=headers), 422, "key_reused")
    check_problem(client.post("/v1/transcriptions?language=en", content=b"same", headers=headers), 422, "key_reused")


def test_a_key_belongs_to_its_tenant(client: httpx.Client, stranger: httpx.Client) -> None:
    headers = {"Idempotency-Key": "three"}
    mine = client.post("/v1/transcriptions", content=b"a", headers=headers).json()
    theirs = stranger.post("/v1/transcriptions", content=b"b", headers=headers).json()
    assert mine["id"] != theirs["id"]


@pytest.mark.parametrize("key", ["", '""', "a" * 256, "tab\there"])
def test_a_key_of_another_form_is_refused(client: httpx.Client, key: str) -> None:
    answer = client.post("/v1/transcriptions", content=b"a", headers={"Idempotency-Key": key})
    check_problem(answer, 400, "invalid_request")


def test_a_refused_upload_gives_its_key_back(client: httpx.Client) -> None:
    headers = {"Idempotency-Key": "four"}
    check_problem(client.post("/v1/transcriptions", content=b"", headers=headers), 422, "empty_upload")
    assert client.post("/v1/transcriptions", content=b"full", headers=headers).status_code == 202


async def test_a_hundred_at_once_with_one_key_make_one_job(server: Server, client: httpx.Client) -> None:
    headers = {**client.headers, "Idempotency-Key": "hundred"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60) as many:
        answers = await asyncio.gather(*(many.post("/v1/transcriptions", content=b"me") for _ in range(100)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    done = [answer for answer in answers if answer.status_code == 202]
    assert len({answer.content for answer in done}) == 1
    for answer in answers:
        if answer.status_code == 409:
            check_problem(answer, 409, "key_in_flight")
            assert answer.headers["retry-after"] == "1"
    job_id = done[0].json()["id"]
    assert is_job_id(job_id) and len(uploads_of(server, job_id)) == 1


async def test_a_client_that_leaves_gives_its_key_back(server: Server, client: httpx.Client) -> None:
    headers = {**client.headers, "Idempotency-Key": "leaves"}
    logged = len(server.log.read_text())

    async def slow() -> AsyncIterator[bytes]:
        yield b"some"
        await asyncio.sleep(60)

    async with httpx.AsyncClient(base_url=server.url, headers=headers) as leaving:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await leaving.post("/v1/transcriptions", content=slow())
        async with asyncio.timeout(10):
            while (answer := await leaving.post("/v1/transcriptions", content=b"whole")).status_code != 202:
                check_problem(answer, 409, "key_in_flight")
                await asyncio.sleep(0.05)
    assert "a request broke" not in server.log.read_text()[logged:]
