"""A careful client: asks again until the answer is clear, under the same Idempotency-Key.

In: a server. Out: clear answers; AssertionError for one that no promise allows. Journeys are made of its calls.
"""

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx
import numpy as np

from bench.recordings import SAMPLE_RATE_HZ, wav_head
from runtime.settings import Settings
from schemas.topics import upload_topic
from tests.chaos.sounds import padded
from tests.deadline import until

PATIENCE_S = 240.0
REQUEST_TIMEOUT_S = 60.0
# More than one part of a multipart upload.
SEVERAL_PARTS_BYTES = 9_000_000
# More than the ordinary chunkers take; where nobody reads that topic, the job stays open until it is cancelled.
LONG_BYTES = 50_100_000
# Longer than a third of the lease of an Idempotency-Key.
PAUSE_S = 21.0
UNCLEAR = frozenset({429, 503})
Answer = dict[str, Any]


@cache
def recording(duration_s: int, padding_bytes: int = 0) -> bytes:
    """A WAV file of noise, always the same, behind a chunk that no decoder reads."""
    noise = np.random.default_rng(duration_s).normal(size=duration_s * SAMPLE_RATE_HZ) * 3000
    data = noise.astype("<i2").tobytes()
    wav = wav_head(len(data)) + data
    return padded(wav, padding_bytes) if padding_bytes else wav


class _Slow(io.BytesIO):
    """A file whose reader has to wait once, near its end."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() < SEVERAL_PARTS_BYTES - 100_000 <= self.tell() + (size or 0):
            time.sleep(PAUSE_S)
        return super().read(size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What is called, and what a journey may do to it behind the API: settings name its stores."""

    url: str
    tenant_id: str
    settings: Settings
    restart: Callable[[str], None]


class Caller:
    """A client that repeats a request until the answer is clear."""

    def __init__(self, server: Server, key: str, padding_bytes: int = 0) -> None:
        self.server = server
        self._padding_bytes = padding_bytes
        self._http = httpx.Client(
            base_url=server.url, headers={"Authorization": f"Bearer {key}"}, timeout=REQUEST_TIMEOUT_S
        )

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
