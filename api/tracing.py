"""What surrounds every request: its id, the security headers of its answer, and one line in the access log.

In: any ASGI app. Out: the same app, wrapped, so that answers of the router itself are covered too.
The log never holds a query string, a file name or text: paths are logged as their template.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from typing import Any
from uuid import uuid4

import structlog

from api.pace import Paced
from runtime.telemetry import logger
from schemas.identity import is_job_id

# ASGI as its specification has it; the framework's own types exclude what is not HTTP.
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

request_id: ContextVar[str] = ContextVar("request_id", default="")

_CONTENT_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_HEADERS: dict[bytes, bytes] = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"content-security-policy": _CONTENT_POLICY.encode(),
    b"cache-control": b"no-store",
}
_UNAVAILABLE = 503
_QUIET = frozenset({"/health", "/ready", "/metrics"})

log = logger("api.access")


def _completed(message: Message, identity: str) -> None:
    """Adds the headers that the answer does not set itself."""
    headers = list(message.get("headers", ()))
    there = {name.lower() for name, _ in headers}
    headers += [(n, v) for n, v in _HEADERS.items() if n not in there]
    headers.append((b"x-request-id", identity.encode()))
    message["headers"] = headers


class Traced:
    """Wraps an app. The request id is always ours: it becomes the cause of events, so no client may choose it."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identity, status, began = str(uuid4()), 0, time.monotonic()
        request_id.set(identity)

        async def answered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _completed(message, identity)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=identity):
            try:
                await self._app(scope, Paced(receive), answered)
            except asyncio.CancelledError:
                # The server ends and gives no more time. Nobody knows what became of the request: nothing broke.
                if status:
                    raise
                await _ending(answered, identity)
            finally:
                _logged(scope, status, time.monotonic() - began)


async def _ending(send: Send, identity: str) -> None:
    """503, for a request that was still at work when the server ended."""
    body = {
        "type": "/problems/unavailable",
        "title": "A part of the service is away",
        "status": _UNAVAILABLE,
        "detail": "The server was stopped before it could answer.",
        "instance": identity,
        "code": "unavailable",
        "errors": [],
    }
    headers = [(b"content-type", b"application/problem+json"), (b"retry-after", b"5")]
    await send({"type": "http.response.start", "status": _UNAVAILABLE, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})


def _logged(scope: Scope, status: int, elapsed_s: float) -> None:
    path = scope.get("path_template") or "(no route)"
    caller = scope.get("auth")
    line = log.debug if path in _QUIET else log.info
    line(
        "request",
        action="http.request",
        method=scope["method"],
        route=path,
        status=status,
        duration_ms=round(elapsed_s * 1000, 1),
        tenant=getattr(caller, "tenant_id", None),
        key=getattr(caller, "key_id", None),
        job_id=_known_form((scope.get("path_params") or {}).get("job_id")),
    )


def _known_form(job_id: Any) -> str | None:
    """A job id; whatever else stands in its place may be anything."""
    return job_id if isinstance(job_id, str) and is_job_id(job_id) else None
