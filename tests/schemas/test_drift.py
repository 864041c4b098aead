"""The drift check finds what it is there for."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from schemas import drift
from schemas.codec import schema_text
from schemas.records import SpeakerNamed


def test_schema_files_and_types_agree() -> None:
    assert drift.differences() == []


def _changed(**change: Any) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(schema_text("SpeakerNamed"))
    field = next(f for f in schema["fields"] if f["name"] == "name")
    field.update(change)
    return schema


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"doc": ""}, "no doc"),
        ({"type": "string"}, "against"),
        ({"default": "x"}, "default"),
        ({"name": "title"}, "only in"),
    ],
)
def test_each_kind_of_difference_is_found(change: dict[str, Any], words: str) -> None:
    found = list(drift._compare(SpeakerNamed, _changed(**change), {}, "SpeakerNamed"))
    assert any(words in line for line in found), found


def test_a_nested_type_must_be_the_same_in_every_file() -> None:
    @dataclass
    class Thing:
        size: int

    one = {
        "type": "record",
        "name": "Thing",
        "doc": "d",
        "fields": [{"name": "size", "type": "int", "doc": "a"}],
    }
    two = {
        "type": "record",
        "name": "Thing",
        "doc": "d",
        "fields": [{"name": "size", "type": "int", "doc": "b"}],
    }
    seen: dict[str, Any] = {}
    assert list(drift._type(Thing, one, seen, "x")) == []
    assert any("differs" in line for line in drift._type(Thing, two, seen, "y"))
