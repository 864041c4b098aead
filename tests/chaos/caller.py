"""A careful client: sends a request again, with the same key, until the answer is definite.

In: a server, an API key. Out: the last answer, and how many attempts it took; None where time ran out.
Written as a stranger would: httpx and the documented routes, nothing of the product's.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

REQUEST_TIMEOUT_S = 30.0
PAUSE_S = 0.7
LOOK_AGAIN_S = 2.0
IN_FLIGHT = "key_in_flight"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A definite answer of the server."""

    status: int
    body: Json
    attempts: int
    etag: str = ""
    request_id: str = ""

    @property
    def code(self) -> str:
        """The problem's code."""
        return str(self.body.get("code", ""))

    @property
    def outcome(self) -> str:
        """What this means to whoever asked."""
        if self.status == 202:
            return "pending"
        if self.status == 410:
            return "gone"
        return "done" if self.status < 300 else "refused"


class Caller:
    """One tenant's client; `broken` collects answers that no client should ever get."""

    def __init__(self, url: str, key: str, deadline: Callable[[], float]) -> None:
        self._http = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=REQUEST_TIMEOUT_S, trust_env=False
        )
        self._deadline = deadline
        self.broken: list[str] = []

    def once(self, method: str, path: str, **options: Any) -> Answer | None:
        """One attempt; None where nobody can know what became of it."""
        try:
            answer = self._http.request(method, path, **options)
        except httpx.TransportError:
            return None
        return self._definite(answer, method, path, 1)

    def until_definite(self, method: str, path: str, **options: Any) -> Answer | None:
        """Attempts until the answer is definite; safe for reads and for requests with a key."""
        attempts = 0
        while time.monotonic() < self._deadline():
            attempts += 1
            try:
                answer = self._http.request(method, path, **options)
            except httpx.TransportError:
                time.sleep(PAUSE_S)
                continue
            if (definite := self._definite(answer, method, path, attempts)) is not None:
                return definite
            time.sleep(PAUSE_S)
        return None

    def job_until(self, job_id: str, wanted: Callable[[Json], bool]) -> Json | None:
        """The job once it is as wanted; None where it is gone or time ran out."""
        while time.monotonic() < self._deadline():
            answer = self.until_definite("GET", f"/v1/transcriptions/{job_id}")
            if answer is None or answer.status != 200:
                return None
            if answer.body.get("id") != job_id:
                self.broken.append(f"GET {_route(f'/v1/transcriptions/{job_id}')}: 200 with another job")
                return None
            if wanted(answer.body):
                return answer.body
            time.sleep(LOOK_AGAIN_S)
        return None

    def close(self) -> None:
        """Closes its connections."""
        self._http.close()

    def _definite(self, answer: httpx.Response, method: str, path: str, attempts: int) -> Answer | None:
        try:
            body = answer.json() if answer.content else {}
        except ValueError:
            body = {}
        code = body.get("code", "") if isinstance(body, dict) else ""
        if answer.status_code in (429, 503) or code == IN_FLIGHT:
            return None
        if answer.status_code >= 500:
            self.broken.append(
                f"{method} {_route(path)}: {answer.status_code} {code} {answer.headers.get('x-request-id', '')}"
            )
            return None
        return Answer(
            status=answer.status_code,
            body=body if isinstance(body, dict) else {"items": body},
            attempts=attempts,
            etag=answer.headers.get("etag", ""),
            request_id=answer.headers.get("x-request-id", ""),
        )


def _route(path: str) -> str:
    """The path without the ids in it."""
    return "/".join("{}" if len(part) == 36 else part for part in path.split("/"))
