"""Requests that no honest client sends: each gets a clear refusal, and none breaks anything."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import httpx
import pytest

from api.transcripts import disposition
from tests.api.conftest import Server
from tests.projections.facts import Job, conversation

JOB = 77
NAMES = [
    "../../etc/passwd",
    "..\\..\\windows\\win.ini",
    "a\r\nSet-Cookie: x=1",
    "nul\x00byte.wav",
    "n" * 4_096,
    "\u202egnp.exe",
    "🎧.mp3",
    "=cmd|' /C calc'!A0",
    "<img src=x onerror=alert(1)>.wav",
    "$(touch x); `id` && rm -rf *",
    "CON",
    "LPT1.wav",
    '";filename=other.exe;"',
    "%0d%0aX: y",
    "   ",
    ".",
    "..",
]


@pytest.fixture(scope="module")
def job(server: Server) -> Job:
    """A finished job of the tenant."""
    made = conversation(JOB)
    server.show(*made.facts)
    return made


def healthy(client: httpx.Client) -> None:
    assert client.get("/health").status_code == 200


def refused(answer: httpx.Response) -> dict[str, Any]:
    """A refusal that blames the client, as a problem."""
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert "Traceback" not in answer.text
    return problem


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_kept_as_a_name_and_nothing_more(client: httpx.Client, name: str) -> None:
    head = f'--b\r\nContent-Disposition: form-data; name="file_name"\r\n\r\n{name}\r\n--b\r\n'
    head += 'Content-Disposition: form-data; name="file"; filename="x.wav"\r\n\r\nRIFFsound\r\n--b--\r\n'
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = client.post("/v1/transcriptions", content=head.encode(), headers=kind)
    assert answer.status_code == 202, answer.text
    kept = answer.json()["file_name"]
    assert kept is None or (kept.isprintable() and len(kept) <= 255 and "/" not in kept and "\\" not in kept)


@pytest.mark.parametrize("name", NAMES)
def test_an_export_is_named_in_one_header(name: str) -> None:
    header = disposition(name, "srt")
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2
    assert header.startswith('attachment; filename="')
    assert not {"\\", "%"} & set(header.split('"')[1])


@pytest.mark.parametrize(
    "identity", ["..", "%2e%2e", "%00", "a%00b", "%0d%0aX:%20y", "a%2fb", "é", "%ff%fe", "'%20OR%201=1--", "x" * 3_000]
)
@pytest.mark.parametrize(
    "path", ["transcriptions/{}", "transcriptions/{job}/segments/{}", "transcriptions/{job}/speakers/{}"]
)
def test_an_address_that_names_nothing_is_404(client: httpx.Client, job: Job, path: str, identity: str) -> None:
    address = path.replace("{job}", job.job_id).replace("{}", identity)
    with raw(client) as send:
        status, headers, _ = send(f"GET /v1/{address} HTTP/1.1\r\n".encode())
    assert status in (400, 404, 405), (status, headers)
    with raw(client) as send:
        body = b'{"name": "x"}'
        status, _, _ = send(
            f"PUT /v1/{address} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n".encode(),
            body,
        )
    assert status in (400, 404, 405)
    healthy(client)


DEEP = "[" * 100_000 + "]" * 100_000
BODIES = [
    DEEP,
    '{"name":' * 50_000 + "1" + "}" * 50_000,
    '{"name": 1e999999}',
    '{"name": ' + "9" * 100_000 + "}",
    '{"name": "a", "name": "b", "name": 3}',
    '{"name": "\\ud800"}',
    '{"name": "\\u0000"}',
    '{"name": "a\\u0000b"}',
    '{"name": "' + "x" * 900_000 + '"}',
    '{"name": {"toString": "x"}}',
    '{"name": "\\u202eevil"}',
    "null",
    "",
    "\ufeff{}",
    "NaN",
    '{"__proto__": {"name": "x"}}',
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_a_bomb_of_json_is_refused(client: httpx.Client, job: Job, body: str) -> None:
    for method, path in (("PUT", "speakers/spk1"), ("POST", "feedback"), ("PATCH", "segments/s5-1")):
        answer = client.request(
            method,
            f"/v1/transcriptions/{job.job_id}/{path}",
            content=body.encode(),
            headers={"Content-Type": "application/json", "If-Match": "*"},
        )
        refused(answer)


@pytest.mark.parametrize("text", ["a\0b", "\0", "\x1b[2J", "a\x07b"])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "segments/s5-1", {"text": "{}"}),
        ("PATCH", "segments/s5-1", {"text": "fine", "note": "{}"}),
        ("PATCH", "segments/s5-1", {"speaker_id": "{}"}),
        ("POST", "feedback", {"rating": 3, "comment": "{}"}),
        ("PUT", "speakers/spk1", {"name": "{}"}),
        ("POST", "speakers/spk1/merge", {"into": "{}"}),
    ],
)
def test_text_that_no_database_can_hold_is_refused(  # noqa: PLR0913  # what is asked, and of whom
    client: httpx.Client, job: Job, method: str, path: str, body: dict[str, Any], text: str
) -> None:
    filled = {key: text if value == "{}" else value for key, value in body.items()}
    answer = client.request(method, f"/v1/transcriptions/{job.job_id}/{path}", json=filled, headers={"If-Match": "*"})
    if "\0" in text:
        refused(answer)
    assert answer.status_code < 500


FORM = "multipart/form-data"
FILE = '--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\r\n'
FORMS = {
    "no boundary": (FORM, b"--b\r\n\r\n--b--"),
    "empty boundary": (f"{FORM}; boundary=", b"----\r\n"),
    "long boundary": (f"{FORM}; boundary={'b' * 5_000}", b"x"),
    "boundary with breaks": (f'{FORM}; boundary="a\tb"', b"x"),
    "no end": (f"{FORM}; boundary=b", FILE.encode()),
    "no file": (
        f"{FORM}; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="language"\r\n\r\nen\r\n--b--\r\n',
    ),
    "two files": (f"{FORM}; boundary=b", (FILE * 2 + "--b--\r\n").encode()),
    "10000 fields": (
        f"{FORM}; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="vocabulary"\r\n\r\nx\r\n' * 10_000 + b"--b--\r\n",
    ),
    "huge field name": (
        f"{FORM}; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="' + b"n" * 100_000 + b'"\r\n\r\nx\r\n--b--\r\n',
    ),
    "huge field": (
        f"{FORM}; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="language"\r\n\r\n' + b"x" * 500_000 + b"\r\n--b--\r\n",
    ),
    "endless header": (f"{FORM}; boundary=b", b"--b\r\nX: " + b"y" * 500_000),
    "no name": (f"{FORM}; boundary=b", b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n"),
    "nested": (
        f"{FORM}; boundary=b",
        b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n--b--\r\n",
    ),
    "not UTF-8": (
        f"{FORM}; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="language"\r\n\r\n\xff\xfe\r\n--b--\r\n',
    ),
    "rubbish": (f"{FORM}; boundary=b", bytes(range(256)) * 400),
}


@pytest.mark.parametrize("case", FORMS)
def test_a_malformed_form_is_refused(client: httpx.Client, case: str) -> None:
    kind, body = FORMS[case]
    refused(client.post("/v1/transcriptions", content=body, headers={"Content-Type": kind}))
    healthy(client)


@contextmanager
def raw(client: httpx.Client) -> Iterator[Any]:
    """Sends bytes as they are, with our key; gives status, head and body of the answer."""
    url = client.base_url
    with closing(socket.create_connection((url.host, url.port or 80), timeout=30)) as connection:

        def send(head: bytes, body: bytes = b"", *, end: bool = True) -> tuple[int, bytes, bytes]:
            common = f"Host: x\r\nAuthorization: {client.headers['authorization']}\r\nConnection: close\r\n"
            connection.sendall(head + common.encode() + (b"\r\n" if end else b"") + body)
            return _answer(connection)

        yield send


def _answer(connection: socket.socket) -> tuple[int, bytes, bytes]:
    data = b""
    while piece := connection.recv(65_536):
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]) if head else 0, head, body


@pytest.mark.parametrize(
    "head",
    [
        b"POST /v1/transcriptions HTTP/1.1\r\nContent-Length: -5\r\n",
        b"POST /v1/transcriptions HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 50\r\n",
        b"POST /v1/transcriptions HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"POST /v1/transcriptions HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n",
        b"POST /v1/transcriptions HTTP/1.1\r\nContent-Length: 1e3\r\n",
        "POST /v1/transcriptions HTTP/1.1\r\nContent-Length: ²\r\n".encode(),
        b"GET /v1/transcriptions HTTP/1.1\r\nX-Name: a\0b\r\n",
        b"GET /v1/transcriptions HTTP/1.1\r\n" + b"X: " + b"y" * 200_000 + b"\r\n",
        b"GET /v1/transcriptions" + b"/x" * 50_000 + b" HTTP/1.1\r\n",
        b"GET / HTTP/9.9\r\n",
        b"\0\0\0\0\r\n",
    ],
    ids=range(11),
)
def test_a_head_that_lies_or_is_broken_is_refused(client: httpx.Client, head: bytes) -> None:
    with raw(client) as send:
        try:
            status, _, _ = send(head, b"12345")
        except ConnectionError:
            status = 0
    assert status < 500
    assert not 200 <= status < 300
    healthy(client)


@pytest.mark.parametrize("value", ["bytes=-5", "bytes=5-1", "bytes=-99999999999999999999", "bytes=a-b", "x" * 5_000])
def test_a_range_is_not_followed(client: httpx.Client, job: Job, value: str) -> None:
    answer = client.get(f"/v1/transcriptions/{job.job_id}/transcript", headers={"Range": value})
    assert answer.status_code == 200
    assert answer.json()["id"] == job.job_id


RUBBISH = ("é", '"' * 300, "a" * 8_000, "=?utf-8?b?AAAA?=", "filename*=utf-8''%00%0d%0a", "%00", "*/*;q=nan")
HEADERS = ("Idempotency-Key", "Last-Event-ID", "If-Match", "Accept", "Prefer", "Content-Disposition")


@pytest.mark.parametrize("name", HEADERS)
def test_headers_of_rubbish_break_nothing(client: httpx.Client, job: Job, name: str) -> None:
    for value in RUBBISH:
        path = f"/v1/transcriptions/{job.job_id}" + ("/events" if name == "Last-Event-ID" else "/transcript")
        for method, url in (("GET", path), ("POST", "/v1/transcriptions")):
            answer = client.request(method, url, headers=[(name.encode(), value.encode("latin-1"))], content=b"x" * 10)
            assert answer.status_code < 500, (method, value, answer.text)


def test_what_is_refused_names_no_inner_thing(client: httpx.Client) -> None:
    text = json.dumps(refused(client.get("/v1/transcriptions?cursor=%00%ff")))
    assert "psycopg" not in text
    assert "site-packages" not in text
