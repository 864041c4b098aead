"""Every error is a problem of one shape, whoever raises it."""

from typing import Any

import httpx
import pytest

from api.refusals import TYPES, by_slug, type_of
from tests.api.conftest import Server
from tests.projections.facts import conversation

KEYS = {"type", "title", "status", "detail", "instance", "code", "errors"}
UNKNOWN = "00000000-0000-4000-8000-000000000000"


def check_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem in an answer."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert set(problem) == KEYS
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["instance"] == answer.headers["x-request-id"]
    assert problem["title"] == type_of(code).title
    return problem


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/v1/nothing", 404, "not_found"),
        ("POST", "/health", 405, "method_not_allowed"),
        ("PUT", "/v1/transcriptions", 405, "method_not_allowed"),
        ("GET", "/v1/transcriptions?limit=0", 400, "invalid_request"),
        ("GET", "/v1/transcriptions?limit=201", 400, "invalid_request"),
        ("GET", "/v1/transcriptions?limit=many", 400, "invalid_request"),
        ("GET", "/v1/transcriptions?status=odd", 400, "invalid_request"),
        ("GET", "/v1/transcriptions?cursor=abc", 400, "bad_cursor"),
        ("GET", f"/v1/transcriptions/{UNKNOWN}", 404, "not_found"),
        ("GET", "/v1/transcriptions/not-an-id", 404, "not_found"),
        ("GET", f"/v1/transcriptions/{UNKNOWN}/transcript", 404, "not_found"),
        ("GET", f"/v1/transcriptions/{UNKNOWN}/transcript?format=pdf", 400, "invalid_request"),
        ("GET", f"/v1/transcriptions/{UNKNOWN}/segments", 404, "not_found"),
        ("GET", f"/v1/transcriptions/{UNKNOWN}/speakers", 404, "not_found"),
        ("GET", f"/v1/transcriptions/{UNKNOWN}/events", 404, "not_found"),
        ("POST", f"/v1/transcriptions/{UNKNOWN}/cancel", 404, "not_found"),
        ("POST", f"/v1/transcriptions/{UNKNOWN}/retry", 404, "not_found"),
        ("DELETE", f"/v1/transcriptions/{UNKNOWN}", 404, "not_found"),
        ("GET", "/v1/search?q=" + "a" * 600, 400, "query_too_long"),
        ("GET", "/v1/search?q=a&from=yesterday", 400, "invalid_request"),
        ("GET", "/v1/search?q=a&limit=1000", 400, "invalid_request"),
        ("GET", "/problems/no-such-problem", 404, "not_found"),
    ],
)
def test_errors_have_one_shape(client: httpx.Client, method: str, path: str, status: int, code: str) -> None:
    check_problem(client.request(method, path), status, code)


def test_a_wrong_method_names_the_right_ones(client: httpx.Client) -> None:
    assert "GET" in client.post("/health").headers["allow"]


@pytest.mark.parametrize("key", ["x", "pal_short", "pal_00000000_" + "0" * 49])
def test_a_key_that_is_none_is_401(server: Server, key: str) -> None:
    answer = httpx.get(f"{server.url}/v1/transcriptions", headers={"Authorization": f"Bearer {key}"})
    check_problem(answer, 401, "not_authenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_no_key_is_401_before_anything_is_read(server: Server) -> None:
    answer = httpx.post(f"{server.url}/v1/transcriptions/x/feedback", content=b"{not json")
    check_problem(answer, 401, "not_authenticated")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"name": "x", "extra": 1}', "/extra"),
        (b'{"name": 3}', "/name"),
        (b'{"name": ""}', "/name"),
        (b"{}", "/name"),
    ],
)
def test_a_wrong_body_says_where(server: Server, client: httpx.Client, body: bytes, pointer: str) -> None:
    server.show(*(job := conversation(41)).facts)
    answer = client.put(f"/v1/transcriptions/{job.job_id}/speakers/spk1", content=body)
    problem = check_problem(answer, 400, "invalid_request")
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


def test_broken_json_is_400(server: Server, client: httpx.Client) -> None:
    server.show(*(job := conversation(41)).facts)
    answer = client.put(f"/v1/transcriptions/{job.job_id}/speakers/spk1", content=b"{")
    check_problem(answer, 400, "invalid_request")


def test_a_body_over_the_limit_is_413(server: Server, client: httpx.Client) -> None:
    server.show(*(job := conversation(41)).facts)
    answer = client.put(f"/v1/transcriptions/{job.job_id}/speakers/spk1", content=b" " * 1_100_000)
    check_problem(answer, 413, "too_large")


def test_every_type_leads_to_a_page(client: httpx.Client) -> None:
    for kind in TYPES.values():
        answer = client.get(f"/problems/{kind.slug}")
        assert answer.status_code == 200
        assert kind.title in answer.text or "&#x27;" in answer.text
        assert by_slug(kind.slug) is kind


def test_security_headers_are_everywhere(client: httpx.Client) -> None:
    for path in ("/health", "/nothing", "/v1/transcriptions", "/docs", "/schema/openapi.json"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-request-id"]
