"""The log as a stranger reads it: raw records from the broker, schemas by id from the registry, fastavro.

In: addresses. Out: every record of a topic, from the first to what was the last when reading began.
"""

import io
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import httpx
from confluent_kafka import Consumer, TopicPartition
from fastavro import parse_schema, schemaless_reader

TIMEOUT_S = 60.0
TOPICS = (
    "uploads",
    "uploads.long",
    "controls",
    "corrections",
    "transcriptions",
    "chunks.interactive",
    "chunks.batch",
    "transcripts",
    "dead-letters",
)
Fields = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One record in its place; `kind` and `fields` are empty where the value is no Avro record."""

    topic: str
    partition: int
    offset: int
    key: str
    value: bytes | None
    headers: Mapping[str, str]
    kind: str
    fields: Fields


class Schemas:
    """Writer schemas by id."""

    def __init__(self, registry: str) -> None:
        self._http = httpx.Client(base_url=registry, timeout=TIMEOUT_S, trust_env=False)
        self._known: dict[int, Any] = {}

    def decode(self, value: bytes) -> tuple[str, Fields]:
        """Name and fields of a framed record; empty where it is none."""
        if len(value) < 5 or value[0] != 0:
            return "", {}
        (schema_id,) = struct.unpack(">I", value[1:5])
        if schema_id not in self._known:
            answer = self._http.get(f"/schemas/ids/{schema_id}")
            self._known[schema_id] = _parsed(answer.json()["schema"]) if answer.status_code == 200 else None
        schema = self._known[schema_id]
        if schema is None:
            return "", {}
        try:
            fields = schemaless_reader(io.BytesIO(value[5:]), schema, None)
        except Exception:  # whatever broken bytes lead the library into
            return "", {}
        return str(schema["name"]).rpartition(".")[2], cast(Fields, fields)


def _parsed(text: str) -> Any:
    return parse_schema(_without_logical_types(json.loads(text)))


def _without_logical_types(schema: Any) -> Any:
    """Times stay the integers they are on the wire."""
    if isinstance(schema, dict):
        return {key: _without_logical_types(value) for key, value in schema.items() if key != "logicalType"}
    return [_without_logical_types(item) for item in schema] if isinstance(schema, list) else schema


def read(bootstrap: str, prefix: str, registry: str) -> dict[str, list[Entry]]:
    """All records of all topics, each topic in the order of its partitions."""
    schemas = Schemas(registry)
    return {topic: _topic(bootstrap, prefix, topic, schemas) for topic in TOPICS}


def _topic(bootstrap: str, prefix: str, topic: str, schemas: Schemas) -> list[Entry]:
    name = prefix + topic
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "checker", "enable.auto.commit": False})
    try:
        ends = {
            number: consumer.get_watermark_offsets(TopicPartition(name, number), timeout=TIMEOUT_S)[1]
            for number in consumer.list_topics(name, timeout=TIMEOUT_S).topics[name].partitions
        }
        consumer.assign([TopicPartition(name, number, 0) for number, end in ends.items() if end])
        found: list[Entry] = []
        while any(_position(consumer, name, number) < end for number, end in ends.items() if end):
            message = consumer.poll(1.0)
            if message is None:
                continue
            if message.error() is not None:
                raise RuntimeError(f"{name}: {message.error()}")
            found.append(_entry(topic, message, schemas))
    finally:
        consumer.close()
    return sorted(found, key=lambda entry: (entry.partition, entry.offset))


def _position(consumer: Consumer, name: str, number: int) -> int:
    return int(consumer.position([TopicPartition(name, number)])[0].offset)


def _entry(topic: str, message: Any, schemas: Schemas) -> Entry:
    value = message.value()
    kind, fields = schemas.decode(value) if value else ("", {})
    return Entry(
        topic=topic,
        partition=message.partition(),
        offset=message.offset(),
        key=(message.key() or b"").decode(errors="replace"),
        value=value,
        headers={name: (data or b"").decode(errors="replace") for name, data in message.headers() or ()},
        kind=kind,
        fields=fields,
    )
