"""What was said under faults against what is said without (I7, I11, I13): the same, and each sound its own words.

In: folded jobs. Out: violations. Jobs of the same recording and options must agree to the byte, numbers of facts aside;
jobs of different recordings must differ.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from tests.chaos.checker.evidence import Evidence
from tests.chaos.checker.fold import Job
from tests.chaos.checker.violation import Violation


def violations(evidence: Evidence) -> Iterator[Violation]:
    """Jobs that should agree and do not, and jobs that should not and do."""
    spoken: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for job in evidence.jobs.values():
        if job.accepted is not None and job.status == "completed":
            options = json.dumps(job.accepted["options"], sort_keys=True)
            spoken[job.accepted["audio"]["sha256"], options][_said(job)].append(job.job_id)
    owners: dict[str, str] = {}
    for (sha256, _), versions in spoken.items():
        if len(versions) > 1:
            jobs = " and ".join(names[0] for names in versions.values())
            yield Violation(invariant="I11", subject=jobs, text="say something else of the same recording")
        for said, names in versions.items():
            if owners.setdefault(said, sha256) != sha256:
                yield Violation(invariant="I13", subject=names[0], text="has the words of another recording")


def _said(job: Job) -> str:
    """Everything the first transcript says, and every chunk's text, without the numbers of facts."""
    segments: list[Any] = []
    chunks: dict[int, str] = {}
    done: Any = None
    for kind, fact in job.facts:
        if kind == "SegmentsPublished":
            segments += [{**segment, "segment_id": ""} for segment in fact["segments"]]
        elif kind == "ChunkCompleted" and not fact["failed"]:
            chunks[fact["index"]] = fact["text"]
        elif kind == "TranscriptCompleted":
            done = [fact["language"], fact["speakers"], fact["segment_count"], fact["word_count"], fact["gaps"]]
    return json.dumps([segments, sorted(chunks.items()), done], sort_keys=True)
