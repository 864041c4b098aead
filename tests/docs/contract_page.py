"""The reference half of docs/topics-and-records.md, made of the table of topics and the schema files.

In: `schemas`. Out: Markdown; as a command (`python -m tests.docs.contract_page`) it rewrites the page's half.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from schemas.codec import record_names, schema_text
from schemas.topics import DAY_MS, TOPICS, Topic

PAGE = Path(__file__).parents[2] / "docs" / "topics-and-records.md"
MARK = "<!-- Below this line: made by `python -m tests.docs.contract_page` from schemas/. -->"
ENVELOPE = ("event_id", "job_id", "tenant_id", "actor", "occurred_at", "cause_id")
Schema = Mapping[str, Any]


def generated() -> str:
    """Everything below the mark."""
    values: dict[str, Schema] = {}
    records = "\n".join(_record(json.loads(schema_text(name)), values) for name in record_names())
    nested = "\n".join(_value(schema) for _, schema in sorted(values.items()))
    envelope = _rows(f for f in json.loads(schema_text("UploadReceived"))["fields"] if f["name"] in ENVELOPE)
    return "\n".join(
        [
            "## Topics\n",
            "| topic | written by | records | key | kept |\n|---|---|---|---|---|",
            *map(_topic, TOPICS),
            "\n## What every record carries\n",
            envelope,
            "\n## Records\n",
            "Fields beside those that every record carries. `?` marks a field that may be null.\n",
            records,
            "## Values inside records\n",
            nested,
        ]
    )


def _topic(topic: Topic) -> str:
    names = ", ".join(f"`{record.__name__}`" for record in topic.records) or "the original bytes"
    return f"| `{topic.name}` | {topic.written_by} | {names} | `{topic.key}` | {kept(topic)} |"


def kept(topic: Topic) -> str:
    """How long records stay, in words."""
    if topic.config["cleanup.policy"] == "compact":
        return "for ever, compacted"
    return f"{int(topic.config['retention.ms']) // DAY_MS} days"


def _record(schema: Schema, values: dict[str, Schema]) -> str:
    _collect(schema, values)
    own = [field for field in schema["fields"] if field["name"] not in ENVELOPE]
    body = _rows(own) if own else "No fields of its own.\n"
    return f"### {schema['name']}\n\n{schema['doc']}\n\n{body}"


def _value(schema: Schema) -> str:
    if schema["type"] == "enum":
        return f"### {schema['name']}\n\n{schema['doc']} One of {', '.join(f'`{s}`' for s in schema['symbols'])}.\n"
    return f"### {schema['name']}\n\n{schema['doc']}\n\n{_rows(schema['fields'])}"


def _rows(fields: Any) -> str:
    lines = [f"| `{f['name']}` | {_type(f['type'])} | {f['doc']} |" for f in fields]
    return "\n".join(["| field | type | meaning |\n|---|---|---|", *lines]) + "\n"


def _type(avro: Any) -> str:
    match avro:
        case str():
            return avro
        case ["null", inner]:
            return f"{_type(inner)}?"
        case {"type": "array", "items": items}:
            return f"list of {_type(items)}"
        case {"type": "map", "values": inner}:
            return f"map of {_type(inner)}"
        case {"logicalType": "timestamp-millis"}:
            return "timestamp, ms"
        case {"name": str() as name}:
            return f"[{name}](#{name.lower()})"
    raise ValueError(f"no words for {avro}")


def _collect(schema: Any, values: dict[str, Schema]) -> None:
    """Nested named types, each once."""
    for inner in _inside(schema):
        if isinstance(inner, dict) and inner.get("type") in ("record", "enum"):
            values.setdefault(inner["name"], inner)
        _collect(inner, values)


def _inside(schema: Any) -> Iterator[Any]:
    if isinstance(schema, list):
        yield from schema
    elif isinstance(schema, dict):
        yield from (field["type"] for field in schema.get("fields", ()))
        yield from (schema[key] for key in ("items", "values") if key in schema)


def main() -> None:
    """Rewrites the generated half of the page."""
    written, _, _ = PAGE.read_text(encoding="utf-8").partition(MARK)
    PAGE.write_text(f"{written}{MARK}\n\n{generated()}", encoding="utf-8")


if __name__ == "__main__":
    main()
