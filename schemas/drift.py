"""Holds `avro/*.avsc` and the Python types together: names, types, order and defaults must be equal.

In: the schema files and `schemas.records`. Out: a list of differences; as a command, exit status 1 if there is any.
Also refuses a field without a doc, and two files that define the same nested type differently.
"""

import dataclasses
import json
import sys
import types
from collections.abc import Iterator, Mapping
from enum import StrEnum
from importlib.resources import files
from typing import Any, Union, get_args, get_origin, get_type_hints

from schemas.codec import record_names, schema_text
from schemas.records import Record

_PRIMITIVES = {
    str: {"string"},
    int: {"int", "long"},
    float: {"double"},
    bool: {"boolean"},
}
_MISSING = object()


def differences() -> list[str]:
    """One sentence for each way in which schema files and Python types disagree."""
    on_disk = {entry.name.removesuffix(".avsc") for entry in (files("schemas") / "avro").iterdir()}
    found = [f"{name}: no schema file" for name in set(record_names()) - on_disk]
    found += [f"{name}.avsc: no Python type" for name in on_disk - set(record_names())]
    nested: dict[str, Any] = {}
    for cls in get_args(Record):
        if cls.__name__ in on_disk:
            found += _compare(cls, json.loads(schema_text(cls.__name__)), nested, cls.__name__)
    return found


def _compare(cls: type[Any], schema: Mapping[str, Any], nested: dict[str, Any], path: str) -> Iterator[str]:
    hints = get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    avro = {field["name"]: field for field in schema["fields"]}
    if list(fields) != list(avro) and set(fields) == set(avro):
        yield f"{path}: fields in another order"
    for name in fields.keys() ^ avro.keys():
        yield f"{path}.{name}: only in {'Python' if name in fields else 'the schema'}"
    for name in fields.keys() & avro.keys():
        yield from _field(hints[name], fields[name], avro[name], nested, f"{path}.{name}")


def _field(hint: Any, field: Any, avro: Mapping[str, Any], nested: dict[str, Any], path: str) -> Iterator[str]:
    if not avro.get("doc"):
        yield f"{path}: no doc"
    yield from _type(hint, avro["type"], nested, path)
    ours = field.default if field.default is not dataclasses.MISSING else _MISSING
    theirs = avro.get("default", _MISSING)
    if (list(ours) if isinstance(ours, tuple) else ours) != theirs:
        yield f"{path}: default differs"


def _type(hint: Any, avro: Any, nested: dict[str, Any], path: str) -> Iterator[str]:
    if get_origin(hint) in (Union, types.UnionType):
        inner = [arg for arg in get_args(hint) if arg is not types.NoneType]
        if not isinstance(avro, list) or avro[0] != "null" or len(inner) != 1 or len(avro) != 2:
            yield f"{path}: {hint} against {avro}"
        else:
            yield from _type(inner[0], avro[1], nested, path)
    elif get_origin(hint) is tuple:
        yield from _type(get_args(hint)[0], _inside(avro, "items"), nested, f"{path}[]")
    elif get_origin(hint) is not None:
        yield from _type(get_args(hint)[1], _inside(avro, "values"), nested, f"{path}{{}}")
    elif dataclasses.is_dataclass(hint) or (isinstance(hint, type) and issubclass(hint, StrEnum)):
        yield from _named(hint, avro, nested, path)
    elif (avro["type"] if isinstance(avro, dict) else avro) not in _PRIMITIVES.get(hint, set()):
        yield f"{path}: {hint} against {avro}"


def _inside(avro: Any, key: str) -> Any:
    return avro.get(key) if isinstance(avro, dict) else None


def _named(hint: Any, avro: Any, nested: dict[str, Any], path: str) -> Iterator[str]:
    """A record or an enum: defined in full at its first use in a file, by name after that."""
    if isinstance(avro, str):
        if avro != hint.__name__:
            yield f"{path}: {hint.__name__} against {avro}"
        return
    if not isinstance(avro, dict) or avro.get("name") != hint.__name__:
        yield f"{path}: {hint.__name__} against {avro}"
        return
    if not avro.get("doc"):
        yield f"{path}: {hint.__name__} has no doc"
    if nested.setdefault(hint.__name__, _flat(avro)) != _flat(avro):
        yield f"{path}: {hint.__name__} differs from its definition in another file"
    if avro["type"] == "enum":
        if avro["symbols"] != [member.value for member in hint]:
            yield f"{path}: symbols differ"
    else:
        yield from _compare(hint, avro, nested, path)


def _flat(avro: Mapping[str, Any]) -> Any:
    """Fields with nested definitions replaced by their names, so that first and later uses compare equal."""

    def name_only(item: Any) -> Any:
        if isinstance(item, dict) and "name" in item and item.get("type") in ("record", "enum"):
            return item["name"]
        if isinstance(item, dict):
            return {key: name_only(value) for key, value in item.items()}
        return [name_only(value) for value in item] if isinstance(item, list) else item

    return {key: name_only(value) for key, value in avro.items()}


def main() -> int:
    """Prints the differences; 1 if there are any."""
    found = differences()
    print("\n".join(found) or "schema files and Python types agree")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
