"""What clients do with a recording, from the upload on, as careful clients do it: again until the answer is clear.

In: a server and an Idempotency-Key. Out: the id of the one job that came of it. Each journey is deterministic: whoever
makes it twice gets two histories that differ in ids and times only.
"""

import io
import struct
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import psycopg
from confluent_kafka import Producer

from runtime.settings import Settings
from schemas.identity import event_id
from schemas.records import UploadReceived
from schemas.topics import upload_topic
from tests.deadline import until

PATIENCE_S = 240.0
REQUEST_TIMEOUT_S = 60.0
SAMPLE_RATE_HZ = 16_000
# More than one part of a multipart upload.
SEVERAL_PARTS_BYTES = 9_000_000
# More than the ordinary chunkers take; where nobody reads that topic, the job stays open until it is cancelled.
LONG_BYTES = 50_100_000
# Longer than a third of the lease of an Idempotency-Key.
PAUSE_S = 21.0
UNCLEAR = frozenset({429, 503})
# A key whose first request died, so that its next one goes on under this request id.
_LAPSED_KEY = b"""
    INSERT INTO idempotency_keys (tenant_id, key, request_id, holder, leased_until) VALUES (%s, %s, %s, %s, '-infinity')
"""
_TRIED_OFTEN = b"INSERT INTO chunker_tries (event_id, tries) VALUES (%s, 3)"
CORRECTED = "corrected by hand"
Answer = dict[str, Any]


@cache
def recording(duration_s: int, padding_bytes: int = 0) -> bytes:
    """A WAV file of noise, always the same, behind a chunk that no decoder reads."""
    noise = np.random.default_rng(duration_s).normal(size=duration_s * SAMPLE_RATE_HZ) * 3000
    data = noise.astype("<i2").tobytes()
    shape = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, SAMPLE_RATE_HZ, 2 * SAMPLE_RATE_HZ, 2, 16)
    padding = struct.pack("<4sI", b"JUNK", padding_bytes) + bytes(padding_bytes) if padding_bytes else b""
    body = b"WAVE" + padding + shape + struct.pack("<4sI", b"data", len(data)) + data
    return struct.pack("<4sI", b"RIFF", len(body)) + body


class _Slow(io.BytesIO):
    """A file whose reader has to wait once, near its end."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() < SEVERAL_PARTS_BYTES - 100_000 <= self.tell() + (size or 0):
            time.sleep(PAUSE_S)
        return super().read(size)


class Caller:
    """A client that repeats a request until the answer is clear."""

    def __init__(self, url: str, key: str, settings: Settings, tenant_id: str, padding_bytes: int = 0) -> None:
        self.settings = settings
        self.tenant_id = tenant_id
        self._padding_bytes = padding_bytes
        self._http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=REQUEST_TIMEOUT_S)

    def recording(self, duration_s: int, padding_bytes: int = 0) -> bytes:
        """A recording at least as large as this client's are."""
        return recording(duration_s, max(padding_bytes, self._padding_bytes))

    @property
    def upload_topic(self) -> str:
        """Where this client's uploads go."""
        return upload_topic(max(1, self._padding_bytes))

    def ask(self, method: str, path: str, good: set[int], **request: Any) -> httpx.Response:
        """The first answer with one of the good statuses; AssertionError for any other that is clear."""

        def attempt() -> httpx.Response | None:
            return self.once(method, path, good, **request)

        return until(attempt, PATIENCE_S, f"{method} {path} is answered with {good}")

    def once(self, method: str, path: str, good: set[int], **request: Any) -> httpx.Response | None:
        """The answer, None where it is not clear what came of the request."""
        try:
            answer = self._http.request(method, f"/v1{path}", **request)
        except httpx.TransportError:
            return None
        if answer.status_code in good:
            return answer
        in_flight = answer.status_code == 409 and answer.json()["code"] == "key_in_flight"
        assert in_flight or answer.status_code in UNCLEAR, f"{method} {path}: {answer.status_code} {answer.text}"
        if answer.status_code == 503:
            assert "Retry-After" in answer.headers, "a server that cannot now says when to come again"
        return None

    def submit(self, key: str, audio: bytes, *, slowly: bool = False, **options: str) -> str:
        """Uploads; I5: every repeat is answered with the same job."""

        def attempt() -> httpx.Response | None:
            upload = {"file": ("recording.wav", _Slow(audio) if slowly else io.BytesIO(audio))}
            return self.once(
                "POST", "/transcriptions", {202}, files=upload, data=options, headers={"Idempotency-Key": key}
            )

        answer = until(attempt, PATIENCE_S, f"{key} is accepted")
        again = self.ask(
            "POST",
            "/transcriptions",
            {202},
            files={"file": ("recording.wav", audio)},
            data=options,
            headers={"Idempotency-Key": key},
        )
        assert again.json()["id"] == answer.json()["id"], "I5: the same key names the same job"
        return str(answer.json()["id"])

    def get(self, path: str) -> Answer:
        """What is there."""
        found: Answer = self.ask("GET", path, {200}).json()
        return found

    def ended(self, job_id: str, status: str) -> Answer:
        """The job when it has ended."""

        def probe() -> Answer | None:
            job = self.get(f"/transcriptions/{job_id}")
            return job if job["status"] in ("completed", "failed", "cancelled") else None

        job = until(probe, PATIENCE_S, f"I2: job {job_id} ends")
        assert job["status"] == status, job
        return job

    def keyed(
        self, method: str, path: str, good: set[int], key: str, body: Answer | None = None, **headers: str
    ) -> None:
        """Asks for a change, as often as it takes, under one key."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        extra = {"json": body} if body is not None else {}
        self.ask(method, path, good, headers={"Idempotency-Key": key, **named}, **extra)


def whole(caller: Caller, key: str) -> str:
    """Transcribed, corrected, a speaker named, judged."""
    return _finished(caller, caller.submit(key, caller.recording(12)), key)


def multipart(caller: Caller, key: str) -> str:
    """The same with an upload of several parts."""
    return _finished(caller, caller.submit(key, caller.recording(12, SEVERAL_PARTS_BYTES)), key)


def slow(caller: Caller, key: str) -> str:
    """The same with an upload that lasts longer than a part of the key's lease."""
    return _finished(caller, caller.submit(key, caller.recording(12, SEVERAL_PARTS_BYTES), slowly=True), key)


def mended(caller: Caller, key: str) -> str:
    """An upload whose options are senseless, which shows after its first part; then the same without them."""
    senseless = [
        ("file", ("recording.wav", caller.recording(12, SEVERAL_PARTS_BYTES))),
        ("num_speakers", (None, "many")),
    ]
    caller.ask("POST", "/transcriptions", {400, 422}, files=senseless, headers={"Idempotency-Key": key})
    return multipart(caller, key)


def _finished(caller: Caller, job_id: str, key: str) -> str:
    caller.ended(job_id, "completed")
    segment = caller.get(f"/transcriptions/{job_id}/segments")["items"][0]
    place = f"/transcriptions/{job_id}/segments/{segment['id']}"
    revision = f'"{segment["revision"]}"'
    caller.keyed("PATCH", place, {200, 202}, f"{key}-correct", {"text": CORRECTED}, If_Match=revision)
    until(lambda: caller.get(place)["text"] == CORRECTED, PATIENCE_S, "I14: the correction shows")
    speakers = f"/transcriptions/{job_id}/speakers"
    caller.keyed("PUT", f"{speakers}/spk1", {200, 202}, f"{key}-name", {"name": "Ada"})
    until(lambda: "Ada" in caller.ask("GET", speakers, {200}).text, PATIENCE_S, "the name shows")
    caller.keyed("POST", f"/transcriptions/{job_id}/feedback", {200, 202}, f"{key}-feedback", {"rating": 5})
    return job_id


def erased(caller: Caller, key: str) -> str:
    """Transcribed and forgotten."""
    job_id = caller.submit(key, caller.recording(12))
    caller.ended(job_id, "completed")
    return _erased(caller, job_id)


def _erased(caller: Caller, job_id: str) -> str:
    place = f"/transcriptions/{job_id}"
    caller.keyed("DELETE", place, {202, 204, 410}, f"{job_id}-erase")
    until(lambda: caller.ask("GET", place, {200, 410}).status_code == 410, PATIENCE_S, "the job is gone")
    return job_id


def gap(caller: Caller, key: str) -> str:
    """Of several chunks all but the first fail, which leaves a gap; a retry fills it."""
    job_id = caller.submit(key, caller.recording(45), vocabulary="stub:fail-round=0-from=1")
    assert caller.ended(job_id, "completed")["gaps"]
    caller.keyed("POST", f"/transcriptions/{job_id}/retry", {200, 202}, f"{key}-retry")

    def filled() -> bool:
        job = caller.get(f"/transcriptions/{job_id}")
        return job["status"] == "completed" and not job["gaps"]

    until(filled, PATIENCE_S, "the gap is filled")
    return job_id


def cancelled(caller: Caller, key: str) -> str:
    """Cancelled while its audio waits."""
    job_id = caller.submit(key, recording(1, LONG_BYTES))
    caller.keyed("POST", f"/transcriptions/{job_id}/cancel", {200, 202}, f"{key}-cancel")
    caller.ended(job_id, "cancelled")
    return job_id


def rejected(caller: Caller, key: str) -> str:
    """No recording at all."""
    job_id = caller.submit(key, b"This is no sound. " * (len(caller.recording(1)) // 18 + 1))
    caller.ended(job_id, "failed")
    return job_id


def crashing_asr(caller: Caller, key: str) -> str:
    """A recording that kills the transcribing model each time."""
    return _crashing(caller, key, "asr", "failed")


def crashing_diarization(caller: Caller, key: str) -> str:
    """A recording that kills the diarizing model each time: it has a transcript without speakers."""
    return _crashing(caller, key, "diarization", "completed")


def _crashing(caller: Caller, key: str, task: str, status: str) -> str:
    job_id = caller.submit(key, caller.recording(12), vocabulary=f"stub:crash-task={task}")
    caller.ended(job_id, status)
    return job_id


def poisoned(caller: Caller, key: str) -> str:
    """A recording at which three chunkers died already."""
    request_id = str(uuid4())
    with psycopg.connect(caller.settings.postgres_dsn) as conn:
        conn.execute(_LAPSED_KEY, (caller.tenant_id, key, request_id, request_id))
        conn.execute(_TRIED_OFTEN, (event_id(request_id, UploadReceived.__name__),))
    job_id = caller.submit(key, caller.recording(12))
    caller.ended(job_id, "failed")
    return job_id


def garbage(caller: Caller, key: str) -> str:
    """No client's doing: a record on the upload topic that nobody can read. It makes no job."""
    producer = Producer({"bootstrap.servers": caller.settings.kafka.bootstrap})
    producer.produce(caller.settings.kafka.topic(caller.upload_topic), b"no Avro", key, 0)
    producer.flush(REQUEST_TIMEOUT_S)
    return ""


Journey = Callable[[Caller, str], str]
JOURNEYS: Mapping[str, Journey] = {
    journey.__name__: journey
    for journey in (
        whole, multipart, slow, mended, erased, gap, cancelled, rejected, crashing_asr, crashing_diarization, poisoned,
        garbage,
    )
}  # fmt: skip
