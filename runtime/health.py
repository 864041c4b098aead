"""Health and metrics of a worker over HTTP: `/healthz` and `/metrics`.

In: what the worker's loop reports. Out: 200 or 503 with a JSON body that says why.
A worker is unhealthy when there is work and nothing has moved for five minutes. It stays healthy while the
broker is away, because killing it would help nobody.
"""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import REGISTRY, generate_latest

STUCK_AFTER_S = 300.0


class Health:
    """State of one worker's loop; every method may be called from any thread."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        stuck_after_s: float = STUCK_AFTER_S,
    ) -> None:
        self._clock = clock
        self._stuck_after_s = stuck_after_s
        self._moved_at = clock()
        self._lag = 0
        self._ready = False
        self._broker_reachable = True
        self._details: dict[str, object] = {}

    def ready(self) -> None:
        """The worker has what it needs: assignment, model, connections."""
        self._ready = True
        self.moved()

    def moved(self) -> None:
        """A batch was finished, a chunk sent or an offset moved."""
        self._moved_at = self._clock()

    def lag(self, records: int) -> None:
        """How many records wait; with none the worker counts as moving."""
        self._lag = records
        if records == 0:
            self.moved()

    def broker(self, reachable: bool) -> None:
        """Whether the broker answers; nothing counts as stuck while it does not."""
        if reachable and not self._broker_reachable:
            self.moved()
        self._broker_reachable = reachable

    def detail(self, **values: object) -> None:
        """Facts shown in the answer, for instance the model and device."""
        self._details.update(values)

    def report(self) -> tuple[bool, dict[str, object]]:
        """Whether the worker is healthy, and what it says about itself."""
        still_s = self._clock() - self._moved_at
        stuck = self._lag > 0 and still_s > self._stuck_after_s and self._broker_reachable
        body = {
            "ready": self._ready,
            "stuck": stuck,
            "lag": self._lag,
            "still_s": round(still_s, 1),
        }
        return self._ready and not stuck, body | {"broker": self._broker_reachable} | self._details


def serve(health: Health, port: int, host: str) -> ThreadingHTTPServer:
    """Serves `/healthz` and `/metrics` from a daemon thread; `server_port` of the result is the port in use."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, "text/plain; version=0.0.4", generate_latest(REGISTRY))
            elif self.path == "/healthz":
                healthy, body = health.report()
                self._answer(
                    200 if healthy else 503,
                    "application/json",
                    json.dumps(body).encode(),
                )
            else:
                self._answer(404, "text/plain", b"not found\n")

        def _answer(self, status: int, media_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Probes are not worth a log line."""

    server = ThreadingHTTPServer((host, port), Handler)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
