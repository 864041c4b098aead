"""`palimpsest dead-letters list|show`: records that could not be processed, with where and why.

In: the dead-letter topic. Out: a table, or one record with headers and content. Reads only; commits nothing.
Must not know how a record got there, nor how one is dealt with.
"""

import argparse
import json
import os
from datetime import UTC, datetime

import msgspec

from cli.connection import operator_settings
from cli.errors import CommandError, Exit
from cli.letters import SETTLED, Letter, Wanted, collect, text
from cli.text import printable, table
from runtime.kafka import Incoming
from runtime.registry import Registry
from runtime.settings import Settings
from runtime.topic_reader import read_from, read_topic
from schemas.codec import Codec, UndecodableRecord
from schemas.topics import DEAD_LETTERS


def wanted(arguments: argparse.Namespace, *, settled_too: bool = False) -> Wanted:
    """The letters that the options of a command name."""
    return Wanted(
        places=frozenset(f"{partition}/{offset}" for partition, offset in getattr(arguments, "places", ())),
        topic=arguments.topic,
        cause=arguments.cause,
        job=arguments.job,
        settled_too=settled_too,
    )


def run_list(arguments: argparse.Namespace) -> int:
    """0, also where there is none."""
    which = wanted(arguments, settled_too=arguments.all)
    letters = collect(read_topic(operator_settings(os.environ).kafka, DEAD_LETTERS))
    found = [letter for letter in letters if which.has(letter)]
    newest = [summary(letter) for letter in found[len(found) - min(arguments.limit, len(found)) :]]
    if arguments.json:
        print(json.dumps(newest, indent=2, ensure_ascii=False))
    elif newest:
        print(table(tuple(name.upper() for name in newest[0]), [tuple(row.values()) for row in newest]))
    else:
        print("no dead letters")
    return 0


def summary(letter: Letter) -> dict[str, str]:
    """Where a dead letter is, where it failed and why."""
    why = letter.why
    return {
        "place": letter.place,
        "time": _time(letter.timestamp_ms),
        "topic": why.get("topic", ""),
        "group": why.get("group", ""),
        "attempts": why.get("attempts", ""),
        "redrives": str(letter.redrives),
        "job": letter.key,
        "type": letter.kind,
        "settled": letter.settled,
        "why": f"{why.get('exception', '')}: {why.get('message', '')}",
    }


def run_show(arguments: argparse.Namespace) -> int:
    """Raises CommandError where there is nothing at this place."""
    settings = operator_settings(os.environ)
    partition, offset = arguments.place
    record = letter_at(settings, partition, offset)
    for name, value in (("key", text(record.key or b"")), ("time", _time(record.timestamp_ms)), *_headers(record)):
        print(f"{printable(name)}: {printable(value)}")
    print(f"\n{_content(settings, record)}")
    return 0


def letter_at(settings: Settings, partition: int, offset: int) -> Incoming:
    """The record at a place; raises CommandError where there is none, or a marker."""
    record = read_from(settings.kafka, DEAD_LETTERS, partition, offset)
    if record is None or any(name == SETTLED for name, _ in record.headers):
        raise CommandError(
            f"There is no dead letter at {partition}/{offset}; the topic keeps them for 14 days.", Exit.NOT_FOUND
        )
    return record


def _content(settings: Settings, record: Incoming) -> str:
    if record.value is None:
        return "(no value)"
    try:
        decoded = Codec(Registry(settings.registry_url, wait=False)).decode(record.value)
    except UndecodableRecord as error:
        return f"{len(record.value)} bytes that cannot be read ({error}): {record.value[:64].hex(' ')} …"
    return f"{type(decoded).__name__} {json.dumps(msgspec.to_builtins(decoded), indent=2, ensure_ascii=False)}"


def _headers(record: Incoming) -> list[tuple[str, str]]:
    return [(name, text(value)) for name, value in record.headers]


def _time(timestamp_ms: int) -> str:
    return datetime.fromtimestamp(timestamp_ms / 1000, UTC).isoformat(sep=" ", timespec="seconds")[:19]
