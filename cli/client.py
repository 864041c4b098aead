"""The HTTP client of the user commands.

In: a server and requests. Out: the JSON documents, transcripts and events; failures as `CommandError` in one sentence.
Must not know what a command prints. Knows nothing of Kafka or of any view: whatever it does, any client can do.
"""

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from cli.connection import Server
from cli.errors import CommandError, Exit

Document = dict[str, Any]
CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 60.0
# The server sends a comment every 15 s while nothing happens.
SILENCE_TIMEOUT_S = 45.0
UPLOAD_TRIES = 4
UPLOAD_PAUSE_S = 1.0
UPLOAD_BLOCK_BYTES = 256 * 1024
_STATUSES: Mapping[int, Exit] = {401: Exit.DENIED, 403: Exit.DENIED, 404: Exit.NOT_FOUND, 410: Exit.NOT_FOUND}
_AGAIN = frozenset({429, 502, 503, 504})
# The same file is on its way twice, or the server has not yet noticed that our first try broke off.
_IN_FLIGHT = "key_in_flight"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file to transcribe; `key` makes sending it twice harmless."""

    file: Path
    options: Mapping[str, str]
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEvent:
    """One server-sent event: `id` is the fact's seq."""

    id: str
    kind: str
    data: Document


class Unanswered(CommandError):
    """The server could not be reached, or broke off; asking again may help."""

    def __init__(self, message: str) -> None:
        super().__init__(message, Exit.UNREACHABLE)


class Client:
    """One server; safe to share between threads."""

    def __init__(self, server: Server) -> None:
        self._url = server.url
        self._http = httpx.Client(
            base_url=server.url,
            headers={"Authorization": f"Bearer {server.key}", "User-Agent": "palimpsest-cli"},
            timeout=httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
        )

    def close(self) -> None:
        """Ends the connections."""
        self._http.close()

    def upload(self, upload: Upload, sent: Callable[[int], None]) -> Document:
        """The job made of a file, or the one its key already made; `sent` hears how many bytes are gone."""
        for attempt in range(1, UPLOAD_TRIES + 1):
            try:
                return self._upload_once(upload, sent)
            except Unanswered:
                if attempt == UPLOAD_TRIES:
                    raise
                time.sleep(UPLOAD_PAUSE_S * 2 ** (attempt - 1) * (0.5 + random.random()))
        raise AssertionError("unreachable")

    def _upload_once(self, upload: Upload, sent: Callable[[int], None]) -> Document:
        answer = self._call(
            "POST",
            "/v1/transcriptions",
            params=dict(upload.options),
            content=_blocks(upload.file, sent),
            headers={
                "Content-Type": "application/octet-stream",
                "Content-Length": str(upload.file.stat().st_size),
                "Content-Disposition": f"attachment; filename*=UTF-8''{quote(upload.file.name, safe='')}",
                "Idempotency-Key": f'"{upload.key}"',
            },
        )
        return _document(answer)

    def job(self, job_id: str) -> Document:
        """One job."""
        return _document(self._call("GET", _path(job_id)))

    def jobs(self, limit: int, status: str | None) -> list[Document]:
        """The newest jobs, over as many pages as it takes."""
        found: list[Document] = []
        cursor: str | None = None
        while len(found) < limit:
            query = {"limit": min(limit - len(found), 100), "status": status, "cursor": cursor}
            page = _document(self._call("GET", "/v1/transcriptions", params=_given(query)))
            found += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        return found

    def transcript(self, job_id: str, form: str) -> bytes:
        """The transcript as rendered by the server."""
        return self._call("GET", _path(job_id, "transcript"), params={"format": form}).content

    def search(self, query: Mapping[str, object]) -> Document:
        """One page of hits."""
        return _document(self._call("GET", "/v1/search", params=_given(query)))

    def cancel(self, job_id: str) -> Document:
        """Asks to stop a job."""
        return _document(self._call("POST", _path(job_id, "cancel")))

    def retry(self, job_id: str) -> Document:
        """Asks to run again what failed."""
        return _document(self._call("POST", _path(job_id, "retry")))

    def delete(self, job_id: str) -> None:
        """Asks to forget a job."""
        self._call("DELETE", _path(job_id))

    def events(self, job_id: str, after: str) -> Iterator[ServerEvent]:
        """Events of a job after the one with id `after` ("" for all), until it has ended; raises Unanswered."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": after} if after else {})
        timeout = httpx.Timeout(SILENCE_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
        try:
            with self._http.stream("GET", _path(job_id, "events"), headers=headers, timeout=timeout) as answer:
                if answer.is_error:
                    answer.read()
                    raise _failure(answer)
                yield from parse_events(answer.iter_lines())
        except httpx.TransportError as error:
            raise self._away(error) from error

    def _call(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **request)
        except httpx.TransportError as error:
            raise self._away(error) from error
        except httpx.InvalidURL as error:
            raise CommandError(f"{self._url} is not an address: {error}.", Exit.USAGE) from error
        if answer.is_error:
            raise _failure(answer)
        return answer

    def _away(self, error: httpx.TransportError) -> Unanswered:
        why = "took too long" if isinstance(error, httpx.TimeoutException) else "does not answer"
        return Unanswered(f"The server at {self._url} {why} ({type(error).__name__}); is it running?")


def parse_events(lines: Iterator[str]) -> Iterator[ServerEvent]:
    """Events of a text/event-stream; comments are keep-alives and make none."""
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            fields[name] = f"{fields[name]}\n{value}" if name == "data" and name in fields else value
            continue
        if "event" in fields or "data" in fields:
            yield _event(fields)
        fields = {}


def _event(fields: Mapping[str, str]) -> ServerEvent:
    try:
        data = json.loads(fields.get("data") or "{}")
    except ValueError:
        data = {}
    return ServerEvent(
        id=fields.get("id", ""), kind=fields.get("event", "message"), data=data if isinstance(data, dict) else {}
    )


def _blocks(file: Path, sent: Callable[[int], None]) -> Iterator[bytes]:
    gone = 0
    with file.open("rb") as source:
        while block := source.read(UPLOAD_BLOCK_BYTES):
            yield block
            gone += len(block)
            sent(gone)


def _path(job_id: str, rest: str = "") -> str:
    return f"/v1/transcriptions/{quote(job_id, safe='')}" + (f"/{rest}" if rest else "")


def _given(query: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in query.items() if value is not None}


def _document(answer: httpx.Response) -> Document:
    try:
        document = answer.json()
    except ValueError as error:
        raise CommandError(
            f"{answer.url.host} answered something that is not JSON; is it a Palimpsest server?"
        ) from error
    if not isinstance(document, dict):
        raise CommandError(f"{answer.url.host} answered JSON of another shape; is it a Palimpsest server?")
    return document


def _failure(answer: httpx.Response) -> CommandError:
    """A problem document as one sentence."""
    try:
        problem = answer.json()
        code = problem.get("code")
        detail = str(problem.get("detail") or problem.get("title") or "")
        errors = "; ".join(str(item.get("message")) for item in problem.get("errors") or ())
    except (ValueError, AttributeError):
        code, detail, errors = None, "", ""
    sentence = detail or f"the server answered {answer.status_code} {answer.reason_phrase}"
    if errors and errors not in sentence:
        sentence = f"{sentence.rstrip('.')}: {errors}"
    if answer.status_code in _AGAIN or code == _IN_FLIGHT:
        return Unanswered(sentence)
    return CommandError(sentence, _STATUSES.get(answer.status_code, Exit.FAILED))
