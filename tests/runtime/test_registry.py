"""Registration under FULL_TRANSITIVE, on the real registry: ids are stable, and a refusal says why."""

import json
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from uuid import uuid4

import pytest

from runtime.errors import Unavailable
from runtime.registry import IncompatibleSchema, Registry, register_all
from runtime.settings import Settings
from schemas.codec import UnknownSchemaId, record_names, schema_text

UNUSED_ID = 2_000_000_000


@pytest.fixture
def url(workspace: Mapping[str, str]) -> str:
    return Settings.read(workspace).registry_url


@pytest.fixture
def registry(url: str) -> Iterator[Registry]:
    with closing(Registry(url, wait=False)) as client:
        yield client


def _schema(name: str, *fields: dict[str, Any]) -> str:
    first = {"name": "a", "type": "string", "doc": "First."}
    return json.dumps({"type": "record", "name": name, "namespace": "palimpsest", "fields": [first, *fields]})


@pytest.fixture
def probe() -> Iterator[str]:
    yield f"Probe{uuid4().hex[:12]}"


def test_registering_again_changes_nothing(url: str, registry: Registry) -> None:
    first = register_all(url)
    assert first == register_all(url)
    assert set(first) == set(record_names())
    registry.resolve_all()
    assert json.loads(registry.schema_of(first["ChunkCut"])) == json.loads(schema_text("ChunkCut"))


def test_an_unknown_id_is_poison_not_a_reason_to_wait(registry: Registry) -> None:
    with pytest.raises(UnknownSchemaId):
        registry.schema_of(UNUSED_ID)


def test_an_added_field_with_a_default_is_taken(registry: Registry, probe: str) -> None:
    registry.register(probe, _schema(probe))
    registry.register(probe, _schema(probe, {"name": "b", "type": "int", "default": 0, "doc": "Added."}))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "b", "type": "int", "doc": "No default."}, "old records"),
        ({"name": "a2", "type": "int", "doc": "No default either."}, "a2"),
    ],
)
def test_an_incompatible_change_is_refused_with_its_reason(
    registry: Registry, probe: str, change: dict[str, Any], words: str
) -> None:
    registry.register(probe, _schema(probe))
    with pytest.raises(IncompatibleSchema, match=words) as refused:
        registry.register(probe, _schema(probe, change))
    assert refused.value.reasons[0].version == 1


def test_every_older_version_counts(registry: Registry, probe: str) -> None:
    """FULL_TRANSITIVE: compatible with the last version is not enough."""
    registry.register(probe, _schema(probe))
    registry.register(probe, _schema(probe, {"name": "b", "type": "int", "default": 0, "doc": "Added."}))
    retyped = _schema(probe, {"name": "b", "type": "string", "default": "", "doc": "Retyped."})
    with pytest.raises(IncompatibleSchema):
        registry.register(probe, retyped)
    assert {found.version for found in registry.check(probe, retyped)} == {2}


def test_a_registry_that_is_away_is_unavailable_to_commands() -> None:
    with closing(Registry("http://127.0.0.1:9/apis/ccompat/v7", wait=False)) as away, pytest.raises(Unavailable):
        away.id_of("ChunkCut")


def test_an_answer_that_never_comes_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.registry._REQUEST_TIMEOUT_S", 0.5)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        closing(Registry(f"http://127.0.0.1:{server.getsockname()[1]}", wait=False)) as registry,
        ThreadPoolExecutor(1) as pool,
    ):
        asked = pool.submit(registry.schema_of, UNUSED_ID)
        server.settimeout(10)
        with server.accept()[0], server.accept()[0] as again:
            again.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            with pytest.raises(UnknownSchemaId):
                asked.result(10)


def test_a_registry_that_never_answers_is_unavailable_to_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.registry._REQUEST_TIMEOUT_S", 0.2)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        closing(Registry(f"http://127.0.0.1:{silent.getsockname()[1]}", wait=False)) as registry,
        pytest.raises(Unavailable, match="ReadTimeout"),
    ):
        registry.schema_of(UNUSED_ID)
