"""A client of the HTTP API as a stranger would write it: httpx and the documented routes, nothing of ours."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.deadline import until

REQUEST_TIMEOUT_S = 60.0
ENDED = frozenset({"completed", "failed", "cancelled"})
Json = dict[str, Any]


class Client:
    """One tenant's view of a server."""

    transport_error = httpx.TransportError

    def __init__(self, url: str, key: str) -> None:
        self.http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=REQUEST_TIMEOUT_S)

    def submit(self, name: str, audio: bytes, *, idempotency_key: str = "", **options: str) -> Json:
        """Uploads audio as a form; the answer is the accepted job."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        answer = self.http.post("/v1/transcriptions", files={"file": (name, audio)}, data=options, headers=headers)
        assert answer.status_code == 202, answer.text
        job: Json = answer.json()
        return job

    def submit_file(self, path: Path, **options: str) -> Json:
        """Uploads a file."""
        return self.submit(path.name, path.read_bytes(), **options)

    def job(self, job_id: str) -> Json:
        """The job as it stands."""
        answer = self.http.get(f"/v1/transcriptions/{job_id}")
        assert answer.status_code == 200, answer.text
        job: Json = answer.json()
        return job

    def ended(self, job_id: str, timeout_s: float) -> Json:
        """The job when it has ended; AssertionError if it does not in time."""

        def probe() -> Json | None:
            job = self.job(job_id)
            return job if job["status"] in ENDED else None

        return until(probe, timeout_s, f"job {job_id} ends")

    def transcript(self, job_id: str) -> Json:
        """The whole transcript as JSON."""
        answer = self.http.get(f"/v1/transcriptions/{job_id}/transcript", params={"format": "json"})
        assert answer.status_code == 200, answer.text
        transcript: Json = answer.json()
        return transcript

    def search(self, query: str, **filters: str) -> list[Json]:
        """Hits of a search."""
        answer = self.http.get("/v1/search", params={"q": query, **filters})
        assert answer.status_code == 200, answer.text
        hits: list[Json] = answer.json()["items"]
        return hits

    def search_page(self, query: str, cursor: str = "") -> Json:
        """One page of hits."""
        answer = self.http.get(
            "/v1/search", params={"q": query, "limit": "100"} | ({"cursor": cursor} if cursor else {})
        )
        assert answer.status_code == 200, answer.text
        page: Json = answer.json()
        return page

    def found(self, query: str, timeout_s: float = 10.0, **filters: str) -> list[Json]:
        """Hits of a search, as soon as there are any."""
        return until(lambda: self.search(query, **filters), timeout_s, f"search finds {query!r}")

    def events(self, job_id: str, after: int = 0) -> Iterator[tuple[int, str, Any]]:
        """Server-sent events of a job from `after` on, until the server says it is done: (seq, kind, data)."""
        headers: Mapping[str, str] = {"Last-Event-ID": str(after)} if after else {}
        with self.http.stream("GET", f"/v1/transcriptions/{job_id}/events", headers=headers) as answer:
            fields: dict[str, str] = {}
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if line and name:
                    fields[name] = value
                elif "event" in fields:
                    if fields["event"] == "done":
                        return
                    yield int(fields["id"]), fields["event"], json.loads(fields.get("data") or "null")
                    fields = {}
