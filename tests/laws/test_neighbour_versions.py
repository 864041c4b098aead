"""Two versions of the program side by side: records of each are read by the other, in any mixture.

The next version is today's with an optional field more in every record and every value inside it, registered in the
real registry, in a group of its own.
"""

import io
import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import psycopg
import pytest
from fastavro import parse_schema, schemaless_reader, schemaless_writer

from projections.search.indexer import Indexer
from runtime.opensearch import SearchEngine
from runtime.postgres import Connection
from runtime.registry import Registry
from runtime.settings import Settings
from schemas.codec import Codec, full_name, record_names, schema_text
from schemas.records import Fact, Record, TranscriptRecord
from streams.assembler.decide import LogInput
from tests.histories.shown import shown
from tests.histories.stories import stories
from tests.streams.assembler.given import Inputs
from tests.streams.assembler.test_decide import Job, answered

ADDED = "added_later"
FRAME = struct.Struct(">bI")
MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
TIMEOUT_S = 60.0


def _next(schema: Any) -> Any:
    """The schema with a field more in each record in it."""
    if isinstance(schema, list):
        return [_next(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _next(value) for key, value in schema.items() if key != "default"}
    if "default" in schema:
        made["default"] = schema["default"]
    if schema.get("type") == "record":
        made["fields"].append({"name": ADDED, "type": ["null", "string"], "default": None, "doc": "New."})
    return made


class NextVersion:
    """Writes and reads as the next version of the program does."""

    def __init__(self, registry_url: str) -> None:
        self._schemas = {name: json.dumps(_next(json.loads(schema_text(name)))) for name in record_names()}
        group = {"X-Registry-GroupId": f"next-{uuid4().hex[:8]}", "Content-Type": MEDIA_TYPE}
        self._ids = {}
        with httpx.Client(base_url=registry_url, headers=group, timeout=TIMEOUT_S) as client:
            for name, text in self._schemas.items():
                answer = client.post(f"/subjects/{full_name(name)}/versions", json={"schema": text})
                self._ids[name] = int(answer.raise_for_status().json()["id"])

    def text(self, name: str) -> str:
        """Its schema of a record."""
        return self._schemas[name]

    def encode(self, record: Record) -> bytes:
        """The record with the new field set."""
        name = type(record).__name__
        out = io.BytesIO()
        out.write(FRAME.pack(0, self._ids[name]))
        fields = {**msgspec.to_builtins(record), ADDED: "something new"}
        schemaless_writer(out, parse_schema(json.loads(self._schemas[name])), fields)
        return out.getvalue()

    def decode(self, data: bytes, name: str, registry: Registry) -> dict[str, Any]:
        """The fields of a record of today."""
        body = io.BytesIO(data)
        _, schema_id = FRAME.unpack(body.read(FRAME.size))
        writer, reader = json.loads(registry.schema_of(schema_id)), json.loads(self._schemas[name])
        found: Any = schemaless_reader(body, parse_schema(writer), parse_schema(reader))
        return dict(found)


@pytest.fixture(scope="module")
def registry(module_workspace: Mapping[str, str]) -> Registry:
    return Registry(module_workspace["PALIMPSEST_REGISTRY_URL"])


@pytest.fixture(scope="module")
def later(module_workspace: Mapping[str, str]) -> NextVersion:
    return NextVersion(module_workspace["PALIMPSEST_REGISTRY_URL"])


@pytest.fixture(scope="module")
def conn(module_workspace: Mapping[str, str]) -> Iterator[Connection]:
    with psycopg.connect(module_workspace["PALIMPSEST_POSTGRES_DSN"]) as connection:
        yield connection


def test_the_registry_would_take_the_next_version(registry: Registry, later: NextVersion) -> None:
    assert [reason for name in record_names() for reason in registry.check(name, later.text(name))] == []


def test_the_assembler_of_today_takes_what_workers_of_both_versions_write(
    registry: Registry, later: NextVersion
) -> None:
    today, given = Codec(registry), Inputs("mixed")
    inputs: list[LogInput] = [given.upload(), given.prepared()]
    inputs += [item for item in answered(given) if isinstance(item, LogInput)]
    expected, mixed = Job(), Job()
    for number, record in enumerate(inputs):
        data = later.encode(record) if number % 2 else today.encode(record)
        read = today.decode(data)
        assert read == record and isinstance(read, LogInput)
        expected.give(record)
        mixed.give(read)
    assert mixed.changes == expected.changes
    assert mixed.known.assembly is not None


def test_the_projector_of_today_shows_what_assemblers_of_both_versions_write(
    registry: Registry, later: NextVersion, conn: Connection, module_workspace: Mapping[str, str]
) -> None:
    today, read = Codec(registry), Settings.read(module_workspace)
    indexer = Indexer(SearchEngine(read.opensearch), read.postgres_dsn)
    for kind, history in stories().items():
        facts: list[TranscriptRecord] = [fact for _, fact in history if fact is not None]
        mixed = []
        for number, fact in enumerate(facts):
            decoded = today.decode(later.encode(fact) if number % 2 else today.encode(fact))
            assert isinstance(decoded, Fact)
            mixed.append(decoded)
        assert shown(conn, indexer, mixed) == shown(conn, indexer, facts), kind


def test_the_next_version_reads_what_today_s_writes(registry: Registry, later: NextVersion) -> None:
    today = Codec(registry)
    for history in stories().values():
        for fact in (fact for _, fact in history if fact is not None):
            fields = later.decode(today.encode(fact), type(fact).__name__, registry)
            assert fields.pop(ADDED) is None
            assert fields["event_id"] == fact.event_id
            assert set(fields) == set(msgspec.to_builtins(fact))
