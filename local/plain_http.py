"""One question over HTTP to this machine.

In: an address and a path. Out: the body of an answer below 400, else an OSError. Must not know what is asked.
Readiness is asked many times a second by many at once, which a full client, made anew each time, is too heavy for.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request

TIMEOUT_S = 5.0


class Refused(ConnectionError):
    """An answer of 400 and above."""

    def __init__(self, path: str, status: int, body: bytes) -> None:
        super().__init__(f"{path} answered {status}: {body.decode(errors='replace')}")
        self.body = body


def get(address: str, path: str, timeout_s: float = TIMEOUT_S) -> bytes:
    """The body; every failure is an OSError, an answer of 400 and above is Refused."""
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=timeout_s) as answer:
            body: bytes = answer.read()
            return body
    except urllib.error.HTTPError as exc:
        with exc:
            raise Refused(path, exc.code, exc.read()) from exc
    except http.client.HTTPException as exc:
        raise ConnectionError(f"{path}: {exc!r}") from exc
