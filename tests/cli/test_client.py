"""Server-sent events, as the HTML standard writes them; and uploads that are sent again."""

import json
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

from cli.client import Client, Upload, parse_events
from cli.connection import Server


def test_events_are_read_and_keep_alives_are_not() -> None:
    lines = [
        ": ping",
        "",
        "id: 3",
        "event: ChunkCompleted",
        'data: {"seq": 3,',
        'data: "progress": 0.5}',
        "",
        "event:done",
        "",
    ]
    first, last = parse_events(iter(lines))
    assert (first.id, first.kind, first.data) == ("3", "ChunkCompleted", {"seq": 3, "progress": 0.5})
    assert (last.id, last.kind, last.data) == ("", "done", {})


def test_data_that_is_no_object_tells_nothing() -> None:
    assert [event.data for event in parse_events(iter(["data: [1]", "", "data: {", "", "retry: 100", ""]))] == [{}, {}]


def test_an_event_that_was_cut_off_is_none() -> None:
    assert list(parse_events(iter(["id: 1", "event: JobAccepted"]))) == []


class _BusyOnce(BaseHTTPRequestHandler):
    """Refuses the first upload because another one of the same key is still running."""

    answers: ClassVar = [(409, {"code": "key_in_flight", "detail": "still running"}), (202, {"id": "7f0c"})]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        status, document = self.answers.pop(0)
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """A test has no access log."""


def test_an_upload_waits_for_the_one_with_the_same_key(tmp_path: Path) -> None:
    file = tmp_path / "talk.wav"
    file.write_bytes(b"bytes")
    with HTTPServer(("127.0.0.1", 0), _BusyOnce) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        with closing(Client(Server(url=f"http://127.0.0.1:{server.server_port}", key="pal_x"))) as client:
            job = client.upload(Upload(file=file, options={}, key="k"), lambda _: None)
        server.shutdown()
        thread.join()
    assert job == {"id": "7f0c"} and not _BusyOnce.answers
