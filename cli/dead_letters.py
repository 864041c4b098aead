"""`palimpsest dead-letters list|show`: records that could not be processed, with where and why.

In: the dead-letter topic. Out: a table, or one record with headers and content. Reads only; commits nothing.
Must not know how a record got there.
"""

import argparse
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from heapq import nlargest

import msgspec

from cli.connection import operator_settings
from cli.errors import CommandError, Exit
from cli.text import printable, table
from runtime.kafka import Incoming
from runtime.registry import Registry
from runtime.settings import Settings
from runtime.topic_reader import read_from, read_topic
from schemas.codec import Codec, UndecodableRecord
from schemas.topics import DEAD_LETTERS

_WHY = "__dlq.errors."


def run_list(arguments: argparse.Namespace) -> int:
    """0, also where there is none."""
    records = read_topic(operator_settings(os.environ).kafka, DEAD_LETTERS)
    # Only the newest are held: there may be two weeks of them, of up to 500 kB each.
    found = nlargest(arguments.limit, enumerate(records), key=lambda numbered: (numbered[1].timestamp_ms, numbered[0]))
    newest = [summary(record) for _, record in reversed(found)]
    if arguments.json:
        print(json.dumps(newest, indent=2, ensure_ascii=False))
    elif newest:
        print(table(tuple(name.upper() for name in newest[0]), [tuple(row.values()) for row in newest]))
    else:
        print("no dead letters")
    return 0


def summary(record: Incoming) -> dict[str, str]:
    """Where a dead letter is, where it failed and why."""
    why = reasons(record)
    return {
        "place": f"{record.partition}/{record.offset}",
        "time": _time(record.timestamp_ms),
        "topic": why.get("topic", ""),
        "group": why.get("group", ""),
        "attempts": why.get("attempts", ""),
        "job": _text(record.key or b""),
        "type": dict(_headers(record)).get("ce_type", ""),
        "why": f"{why.get('exception', '')}: {why.get('message', '')}",
    }


def reasons(record: Incoming) -> Mapping[str, str]:
    """What the process that gave up wrote into the headers."""
    return {name.removeprefix(_WHY): value for name, value in _headers(record) if name.startswith(_WHY)}


def run_show(arguments: argparse.Namespace) -> int:
    """Raises CommandError where there is nothing at this place."""
    settings = operator_settings(os.environ)
    partition, offset = arguments.place
    record = read_from(settings.kafka, DEAD_LETTERS, partition, offset)
    if record is None:
        raise CommandError(f"There is no dead letter at {partition}/{offset}.", Exit.NOT_FOUND)
    for name, value in (("key", _text(record.key or b"")), ("time", _time(record.timestamp_ms)), *_headers(record)):
        print(f"{printable(name)}: {printable(value)}")
    print(f"\n{_content(settings, record)}")
    return 0


def _content(settings: Settings, record: Incoming) -> str:
    if record.value is None:
        return "(no value)"
    try:
        decoded = Codec(Registry(settings.registry_url, wait=False)).decode(record.value)
    except UndecodableRecord as error:
        return f"{len(record.value)} bytes that cannot be read ({error}): {record.value[:64].hex(' ')} …"
    return f"{type(decoded).__name__} {json.dumps(msgspec.to_builtins(decoded), indent=2, ensure_ascii=False)}"


def _headers(record: Incoming) -> list[tuple[str, str]]:
    return [(name, _text(value)) for name, value in record.headers]


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace")


def _time(timestamp_ms: int) -> str:
    return datetime.fromtimestamp(timestamp_ms / 1000, UTC).isoformat(sep=" ", timespec="seconds")[:19]
