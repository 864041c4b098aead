"""A store in front of the real one that withholds some objects, as S3 does where the right to a key is withdrawn.

Our own store knows neither such rights nor archives. What is not withheld is passed on as it came, signature included.
"""

import http.client
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

UPSTREAM_TIMEOUT_S = 30


class Withholding(ThreadingHTTPServer):
    """Answers every reading of a key in `bucket` that starts with `prefix` with `code`; both may be set anew."""

    def __init__(self, upstream: str, bucket: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(upstream).netloc
        self.endpoint = f"http://127.0.0.1:{self.server_port}"
        self.bucket = bucket
        self.prefix = "secret/"
        self.code = "AccessDenied"
        self.refusals = 0

    def withholds(self, path: str) -> bool:
        """Whether the key of this path is one of them."""
        return unquote(urlsplit(path).path).startswith(f"/{self.bucket}/{self.prefix}")


@contextmanager
def withholding(upstream: str, bucket: str) -> Iterator[Withholding]:
    """Listens until left."""
    with Withholding(upstream, bucket) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Withholding

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.command == "GET" and self.server.withholds(self.path):
            self.server.refusals += 1
            refusal = f"<Error><Code>{self.server.code}</Code><Message>no</Message></Error>"
            self._send(HTTPStatus.FORBIDDEN, {}, refusal.encode())
            return
        with closing(http.client.HTTPConnection(self.server.upstream, timeout=UPSTREAM_TIMEOUT_S)) as connection:
            connection.request(self.command, self.path, body=body, headers=dict(self.headers.items()))
            answer = connection.getresponse()
            self._send(answer.status, dict(answer.headers.items()), answer.read())

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _answer

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.title() not in {"Content-Length", "Transfer-Encoding", "Connection"}:
                self.send_header(name, value)
        length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(body))
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""
