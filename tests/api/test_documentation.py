"""The description of the API: complete, and drawn from local files only."""

import re

import httpx

METHODS = ("get", "post", "put", "patch", "delete")


def test_every_v1_operation_describes_its_problems(client: httpx.Client) -> None:
    document = client.get("/schema/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    seen = 0
    for path, item in document["paths"].items():
        for method in METHODS:
            if (operation := item.get(method)) is None or not path.startswith("/v1"):
                continue
            seen += 1
            assert operation["operationId"] and operation["summary"] and operation["security"], path
            for status in ("400", "401", "500", "503"):
                content = operation["responses"][status]["content"]
                assert list(content) == ["application/problem+json"], (path, method, status)
    assert seen >= 16


def test_the_upload_is_described(client: httpx.Client) -> None:
    operation = client.get("/schema/openapi.json").json()["paths"]["/v1/transcriptions"]["post"]
    assert set(operation["requestBody"]["content"]) == {"multipart/form-data", "application/octet-stream"}
    names = {parameter["name"] for parameter in operation["parameters"]}
    assert {"Idempotency-Key", "language", "vocabulary", "num_speakers"} <= names


def test_the_page_fetches_nothing_from_elsewhere(client: httpx.Client) -> None:
    page = client.get("/docs")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert addresses and all(address.startswith("/") for address in addresses)
    for address in addresses:
        assert client.get(address).status_code == 200, address


def test_health_and_metrics_need_no_key(client: httpx.Client) -> None:
    with httpx.Client(base_url=client.base_url) as anybody:
        assert anybody.get("/health").json() == {"status": "alive"}
        ready = anybody.get("/ready")
        assert ready.status_code == 200 and all(ready.json().values())
        metrics = anybody.get("/metrics").text
    assert "palimpsest_http_requests_total" in metrics
    assert "palimpsest_upload_bytes_total" in metrics


def test_metrics_carry_no_ids(client: httpx.Client) -> None:
    wanted = "00000000-0000-4000-8000-0000000000aa"
    client.get(f"/v1/transcriptions/{wanted}")
    assert wanted not in client.get("/metrics").text
