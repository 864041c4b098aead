"""What is written can be read, by us and by anybody; what cannot be read is named as such."""

import json
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_reader
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.codec import (
    Codec,
    RecordTooLarge,
    UndecodableRecord,
    UnknownSchemaId,
    headers,
    record_names,
    schema_text,
)
from schemas.records import ErasureRequested, Record, RetryRequested, SpeakerNamed
from tests.schemas.records_strategy import any_record


class FixedIds:
    """A registry as it would be after one registration, plus foreign schemas."""

    def __init__(self, **foreign: str) -> None:
        self._names = record_names()
        self._foreign = {900 + i: text for i, text in enumerate(foreign.values())}

    def id_of(self, name: str) -> int:
        return self._names.index(name) + 1

    def schema_of(self, schema_id: int) -> str:
        if schema_id in self._foreign:
            return self._foreign[schema_id]
        if not 1 <= schema_id <= len(self._names):
            raise UnknownSchemaId(str(schema_id))
        return schema_text(self._names[schema_id - 1])


CODEC = Codec(FixedIds())
NAMED = SpeakerNamed(
    event_id="e", job_id="j", tenant_id="t", actor="a", occurred_at=1_700_000_000_123, cause_id="c", seq=3,
    speaker_id="spk1", name="Ada",
)  # fmt: skip


@given(any_record())
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_every_record_survives_the_round_trip(record: Record) -> None:
    assert CODEC.decode(CODEC.encode(record)) == record


def test_foreign_readers_see_a_timestamp() -> None:
    import io

    body = io.BytesIO(CODEC.encode(NAMED)[5:])
    fields: Any = schemaless_reader(body, parse_schema(json.loads(schema_text("SpeakerNamed"))), None)
    assert fields["occurred_at"].isoformat() == "2023-11-14T22:13:20.123000+00:00"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\x01\x00\x00\x00\x01rest",
        b"\x00\x00\x00\xff\xffrest",
        CODEC.encode(NAMED)[:-2],
        CODEC.encode(NAMED) + b"x",
    ],
    ids=["empty", "short", "magic", "unknown id", "truncated", "trailing"],
)
def test_what_is_no_record_is_undecodable(data: bytes) -> None:
    with pytest.raises(UndecodableRecord):
        CODEC.decode(data)


@given(st.binary(max_size=200))
def test_rubbish_never_raises_anything_else(data: bytes) -> None:
    try:
        CODEC.decode(b"\x00\x00\x00\x00\x05" + data)
    except UndecodableRecord:
        return


def test_a_writer_with_an_added_field_is_read() -> None:
    newer = json.loads(schema_text("RetryRequested"))
    newer["fields"].append({"name": "urgency", "type": "int", "default": 0, "doc": "Not known here."})
    ids = FixedIds(newer=json.dumps(newer))
    record = RetryRequested(event_id="e", job_id="j", tenant_id="t", actor="a", occurred_at=1, cause_id="c")
    old = Codec(ids).encode(record)
    assert Codec(ids).decode(b"\x00" + (900).to_bytes(4, "big") + old[5:] + b"\x02") == record


def test_a_record_over_the_limit_is_refused() -> None:
    large = ErasureRequested(
        event_id="e",
        job_id="j",
        tenant_id="t",
        actor="a",
        occurred_at=1,
        cause_id="c",
        reason="x" * 600_000,
    )
    with pytest.raises(RecordTooLarge, match="ErasureRequested"):
        CODEC.encode(large)


def test_headers_are_cloudevents() -> None:
    found = dict(headers(NAMED, "assembler"))
    assert found["ce_type"] == b"palimpsest.SpeakerNamed"
    assert found["ce_time"] == b"2023-11-14T22:13:20.123+00:00"
    assert (found["ce_id"], found["ce_subject"], found["ce_source"]) == (
        b"e",
        b"j",
        b"assembler",
    )
