"""Bytes on the wire: Confluent framing (magic 0, schema id, Avro body) and CloudEvents headers.

In: records of `schemas.records`. Out: bytes and headers, and records back from bytes written by any version.
Knows no registry and no broker: ids and writer schemas come through the `SchemaIds` protocol.
"""

import io
import json
import struct
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, Protocol, get_args

import msgspec
from fastavro import parse_schema, schemaless_reader, schemaless_writer

from schemas.records import Record
from schemas.topics import MAX_RECORD_BYTES

NAMESPACE = "palimpsest"
KEPT_SCHEMAS = 1_000  # parsed; those of foreign writers among them
_FRAME = struct.Struct(">bI")
_TYPES: Mapping[str, type[Record]] = {cls.__name__: cls for cls in get_args(Record)}


class UndecodableRecord(ValueError):
    """The bytes are not a record we know: broken frame, unknown schema id or foreign content."""


class UnknownSchemaId(LookupError):
    """The registry answered, and it does not know the id."""


class RecordTooLarge(ValueError):
    """The encoded record is over the limit; what is large belongs in the object store."""


class SchemaIds(Protocol):
    """What the codec needs of a registry. An unreachable registry must be waited for inside these calls."""

    def id_of(self, name: str) -> int:
        """Schema id of our own version of the record `name` (without namespace)."""

    def schema_of(self, schema_id: int) -> str:
        """Writer schema as JSON; raises UnknownSchemaId."""


def record_names() -> tuple[str, ...]:
    """Names of all records, without namespace."""
    return tuple(_TYPES)


@cache
def schema_text(name: str) -> str:
    """The `.avsc` of a record, as it is registered."""
    return (files("schemas") / "avro" / f"{name}.avsc").read_text(encoding="utf-8")


def full_name(name: str) -> str:
    """Subject of a record in the registry: its full name, whatever topic carries it."""
    return f"{NAMESPACE}.{name}"


def _plain(schema: Any) -> Any:
    """The schema without logical types: inside our code a time stays the integer it is on the wire."""
    if isinstance(schema, dict):
        return {key: _plain(value) for key, value in schema.items() if key != "logicalType"}
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    return schema


@lru_cache(KEPT_SCHEMAS)
def _parsed(text: str) -> Any:
    return parse_schema(_plain(json.loads(text)))


class Codec:
    """Encodes our records, decodes everybody's."""

    def __init__(self, ids: SchemaIds) -> None:
        self._ids = ids

    def encode(self, record: Record) -> bytes:
        """Framed Avro bytes; raises RecordTooLarge over 500 kB."""
        name = type(record).__name__
        out = io.BytesIO()
        out.write(_FRAME.pack(0, self._ids.id_of(name)))
        schemaless_writer(out, _parsed(schema_text(name)), msgspec.to_builtins(record), strict=True)
        if out.tell() > MAX_RECORD_BYTES:
            raise RecordTooLarge(f"{name} of job {record.job_id} takes {out.tell()} bytes")
        return out.getvalue()

    def decode(self, data: bytes) -> Record:
        """The record in `data`, read with today's schema; raises UndecodableRecord."""
        if len(data) < _FRAME.size or data[0] != 0:
            raise UndecodableRecord("no Confluent frame")
        _, schema_id = _FRAME.unpack_from(data)
        try:
            writer = _parsed(self._ids.schema_of(schema_id))
        except UnknownSchemaId as error:
            raise UndecodableRecord(f"unknown schema id {schema_id}") from error
        cls = _TYPES.get(str(writer.get("name", "")).removeprefix(f"{NAMESPACE}."))
        if cls is None:
            raise UndecodableRecord(f"schema {schema_id} is not a record of ours")
        return _read(data, writer, cls)


def _read(data: bytes, writer: Any, cls: type[Record]) -> Record:
    body = io.BytesIO(data)
    body.seek(_FRAME.size)
    try:
        fields = schemaless_reader(body, writer, _parsed(schema_text(cls.__name__)))
        record = msgspec.convert(fields, cls)
    except Exception as error:  # fastavro raises whatever the broken bytes lead it into
        # Its message may quote what was read.
        raise UndecodableRecord(f"{cls.__name__}: {type(error).__name__}") from error
    if body.read(1):
        raise UndecodableRecord(f"{cls.__name__}: bytes after the record")
    return record


def headers(record: Record, source: str) -> list[tuple[str, bytes]]:
    """CloudEvents 1.0 headers (Kafka binary mode): routing copies of what the record says itself."""
    time = datetime.fromtimestamp(record.occurred_at / 1000, UTC).isoformat(timespec="milliseconds")
    values = {
        "ce_specversion": "1.0",
        "ce_id": record.event_id,
        "ce_type": full_name(type(record).__name__),
        "ce_source": source,
        "ce_time": time,
        "ce_subject": record.job_id,
        "content-type": "application/avro",
    }
    return [(name, value.encode()) for name, value in values.items()]
