"""A light load on the API by clients that try again: what they were told, and whether each answer was a clear one.

In: address and key of an API, jobs per second. Out: every call with its time and fault, and the promised jobs.
An answer is clear when it succeeds, refuses, or is a 503 problem with Retry-After, all within `ANSWER_LIMIT_S`.
Speaks HTTP only.
"""

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from bench.recordings import noise

# What every request but an upload's body gets; the API's own limit is below it.
ANSWER_LIMIT_S = 20.0
CLIENT_TIMEOUT_S = 60.0
# A refusal before the body comes sooner, also from an API that asks a hanging engine first; whoever hears nothing by
# then began before the outage was noticed.
EARLY_S = 4.0
RECORDING_S = 1.0
ATTEMPT_PAUSE_S = 0.5
# Between two jobs that search is asked for: hundreds at once would be a load of their own on what has just come back.
SEARCH_PAUSE_S = 0.05
_UNAVAILABLE = 503
_SERVER_ERROR = 500
_PROBLEM = "application/problem+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request; `fault` says what is wrong with its answer, and is empty for a clear one."""

    kind: str
    begun_s: float
    elapsed_s: float
    status: int
    fault: str


def fault_of(status: int, headers: Mapping[str, str], elapsed_s: float) -> str:
    """What is wrong with an answer."""
    if elapsed_s > ANSWER_LIMIT_S:
        return f"answered after {elapsed_s:.0f} s"
    if status < _SERVER_ERROR:
        return ""
    if status != _UNAVAILABLE:
        return f"status {status}"
    if not headers.get("content-type", "").startswith(_PROBLEM):
        return "503 without a problem"
    return "" if headers.get("retry-after", "").isdigit() else "503 without Retry-After"


class Load:
    """Threads of clients; use `running`."""

    def __init__(self, url: str, key: str, jobs_per_s: float) -> None:
        self.calls: list[Call] = []
        self.promised: dict[str, str] = {}  # job id by Idempotency-Key
        self.completed: set[str] = set()
        self.found: set[str] = set()
        self.url = url
        self.key = key
        self._period_s = 1 / jobs_per_s
        self._stop = threading.Event()
        self._number = 0

    @contextmanager
    def running(self) -> Iterator["Load"]:
        """Loads from the first to the last line of the block."""
        works = (self._upload, self._look, self._list, self._search, self._rate)
        threads = [threading.Thread(target=self._repeat, args=(work,), name=work.__name__) for work in works]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def client(self) -> httpx.Client:
        """A client with the key."""
        return httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {self.key}"}, timeout=CLIENT_TIMEOUT_S
        )

    def open_jobs(self, keys: Sequence[str]) -> list[str]:
        """Jobs promised under these keys that have not been seen completed; looks at each."""
        wanted = [self.promised[key] for key in keys]
        with self.client() as client:
            for job_id in [job_id for job_id in wanted if job_id not in self.completed]:
                answer = self._call(client, "look", "GET", f"/v1/transcriptions/{job_id}")
                if answer is not None and answer.is_success and answer.json()["status"] == "completed":
                    self.completed.add(job_id)
        return [job_id for job_id in wanted if job_id not in self.completed]

    def unkept(self, keys: Sequence[str]) -> list[str]:
        """Jobs promised under these keys that have not been seen both completed and found; looks at each."""
        left = self.open_jobs(keys)
        with self.client() as client:
            for job_id in [self.promised[key] for key in keys]:
                if job_id in self.found or job_id in left:
                    continue
                if self._findable(client, job_id):
                    self.found.add(job_id)
                else:
                    left.append(job_id)
                time.sleep(SEARCH_PAUSE_S)
        return left

    def _findable(self, client: httpx.Client, job_id: str) -> bool:
        """Whether search finds the job by its first word; what is uploaded here has words."""
        said = self._call(client, "read", "GET", f"/v1/transcriptions/{job_id}/transcript")
        if said is None or not said.is_success or not (segments := said.json()["segments"]):
            return False
        query = {"q": segments[0]["text"].split()[0], "job": job_id}
        hits = self._call(client, "search", "GET", "/v1/search", params=query)
        return hits is not None and hits.is_success and bool(hits.json()["items"])

    def _repeat(self, work: Callable[[httpx.Client], None]) -> None:
        with self.client() as client:
            while not self._stop.wait(self._period_s):
                work(client)

    def _call(self, client: httpx.Client, kind: str, method: str, path: str, **more: Any) -> httpx.Response | None:
        begun_s = time.monotonic()
        answer: httpx.Response | None = None
        status, fault = 0, ""
        try:
            answer = client.request(method, path, **more)
            status = answer.status_code
        except httpx.TransportError as error:
            fault = type(error).__name__
        elapsed_s = time.monotonic() - begun_s
        if answer is not None:
            fault = fault_of(status, answer.headers, elapsed_s)
        self.calls.append(Call(kind=kind, begun_s=begun_s, elapsed_s=elapsed_s, status=status, fault=fault))
        return answer

    def _upload(self, client: httpx.Client) -> None:
        """One recording, with the same key until the answer is a promise."""
        self._number += 1
        key, sound = f"load-{id(self):x}-{self._number}", noise(self._number, RECORDING_S)
        while key not in self.promised:
            answer = self._call(
                client,
                "upload",
                "POST",
                "/v1/transcriptions",
                content=sound,
                headers={"Idempotency-Key": key, "Content-Type": "audio/flac"},
            )
            if answer is not None and answer.is_success:
                self.promised[key] = answer.json()["id"]
            elif self._stop.wait(ATTEMPT_PAUSE_S):
                return

    def _look(self, client: httpx.Client) -> None:
        for job_id in list(self.promised.values())[-2:]:
            self._call(client, "look", "GET", f"/v1/transcriptions/{job_id}")

    def _list(self, client: httpx.Client) -> None:
        self._call(client, "list", "GET", "/v1/transcriptions")

    def _search(self, client: httpx.Client) -> None:
        self._call(client, "search", "GET", "/v1/search", params={"q": "anything"})

    def _rate(self, client: httpx.Client) -> None:
        for job_id in list(self.promised.values())[:1]:
            self._call(client, "rate", "POST", f"/v1/transcriptions/{job_id}/feedback", json={"rating": 5})


def refused_before_the_body(url: str, key: str) -> tuple[int, str]:
    """Status and code of an upload of which only the head was sent; status 0 for no answer soon."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port or 80, timeout=EARLY_S)
    try:
        connection.putrequest("POST", "/v1/transcriptions")
        connection.putheader("Authorization", f"Bearer {key}")
        connection.putheader("Content-Length", "1000000")
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, str(json.load(answer).get("code"))
    except OSError:
        return 0, ""
    finally:
        connection.close()
