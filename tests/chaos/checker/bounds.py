"""Offsets that never go back, and memory and files within bounds (I9, I20, I29).

In: samples of the run, the ends of the topics. Out: violations.
"""

from collections import defaultdict
from collections.abc import Iterator

from tests.chaos.checker.evidence import Evidence
from tests.chaos.checker.violation import Violation

MEGABYTE = 1_000_000
MEMORY_BYTES = {"api": 200 * MEGABYTE, "projector": 300 * MEGABYTE}
WORKER_BYTES = 1_000 * MEGABYTE
OPEN_FILES = 400
FILES_GROWTH = 100
NUDGES = "_nudge/"


def violations(evidence: Evidence) -> Iterator[Violation]:
    """Everything that went back or out of bounds."""
    yield from _offsets(evidence)
    yield from _processes(evidence)


def _offsets(evidence: Evidence) -> Iterator[Violation]:
    before: dict[tuple[str, str, int], int] = {}
    for sample in evidence.samples:
        for consumer, topic, partition, following in sample.get("offsets", ()):
            place = (consumer, topic, partition)
            if following < before.get(place, 0):
                text = f"went back from {before[place]} to {following}"
                yield Violation(invariant="I9", subject=f"{consumer} {topic}/{partition}", text=text)
            before[place] = following
    ends: dict[tuple[str, int], int] = defaultdict(int)
    for topic, entries in evidence.topics.items():
        for entry in entries:
            if entry.key.startswith(NUDGES):
                continue  # one may have come after the last look
            ends[topic, entry.partition] = max(ends[topic, entry.partition], entry.offset + 1)
    for (consumer, topic, partition), following in before.items():
        name = topic.removeprefix(evidence.world["prefix"])
        if following < ends[name, partition]:
            text = f"ends at {following} of {ends[name, partition]}"
            yield Violation(invariant="I20", subject=f"{consumer} {topic}/{partition}", text=text)


def _processes(evidence: Evidence) -> Iterator[Violation]:
    first: dict[tuple[str, int], int] = {}
    worst: dict[tuple[str, str], int] = defaultdict(int)
    for sample in evidence.samples:
        for name, (size, files, pid) in sample.get("processes", {}).items():
            grown = files - first.setdefault((name, pid), files)
            for what, value in (("bytes", size), ("files", files), ("more files", grown)):
                worst[name, what] = max(worst[name, what], value)
    limits = {"files": OPEN_FILES, "more files": FILES_GROWTH}
    for (name, what), value in worst.items():
        limit = MEMORY_BYTES.get(name, WORKER_BYTES) if what == "bytes" else limits[what]
        if value > limit:
            yield Violation(invariant="I29", subject=name, text=f"{value} {what}, the limit is {limit}")
