"""Everything the checker judges: the log, what clients were told, what was done to the topics, samples of the run.

In: the folder of a run and the world it names. Out: one record, read once.
"""

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.checker import log
from tests.chaos.checker.fold import Job, fold
from tests.chaos.checker.log import Entry

Line = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What there is to judge. `jobs` is the fold of the public topic."""

    world: dict[str, Any]
    topics: dict[str, list[Entry]]
    jobs: dict[str, Job]
    told: list[Line]
    poison: list[Line]
    samples: list[Line]


def gather(folder: Path) -> Evidence:
    """Reads everything."""
    world = json.loads((folder / "world.json").read_text())
    topics = log.read(world["kafka"], world["prefix"], world["registry"])
    return Evidence(
        world=world,
        topics=topics,
        jobs=fold_all(topics["transcripts"]),
        told=_lines(folder / "told.jsonl"),
        poison=_lines(folder / "poison.jsonl"),
        samples=_lines(folder / "samples.jsonl"),
    )


def fold_all(entries: list[Entry]) -> dict[str, Job]:
    """The jobs of a public topic: each fact once, in the order of its number."""
    facts: dict[str, dict[int, Entry]] = defaultdict(dict)
    for entry in entries:
        if entry.kind:
            facts[entry.fields["job_id"]].setdefault(entry.fields["seq"], entry)
    return {
        job_id: fold([(entry.kind, entry.fields) for _, entry in sorted(by_seq.items())])
        for job_id, by_seq in facts.items()
    }


def _lines(path: Path) -> list[Line]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
