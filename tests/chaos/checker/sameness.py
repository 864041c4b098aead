"""What was said under faults against what is said without (I11, I13): the same, and each sound its own words.

In: folded jobs. Out: violations. Jobs of the same recording and options must end alike and agree to the byte, numbers
of facts aside, unless somebody cancelled or erased one; jobs of different recordings must differ.
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
    ended: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    owners: dict[str, str] = {}
    for job in evidence.jobs.values():
        if job.accepted is not None and job.status in ("completed", "failed"):
            options = json.dumps(job.accepted["options"], sort_keys=True)
            sha256 = job.accepted["audio"]["sha256"]
            ended[sha256, options][_ending(job)].append(job.job_id)
            if job.status == "completed" and owners.setdefault(_said(job), sha256) != sha256:
                yield Violation(invariant="I13", subject=job.job_id, text="has the words of another recording")
    for versions in ended.values():
        if len(versions) > 1:
            jobs = " and ".join(names[0] for names in versions.values())
            yield Violation(invariant="I11", subject=jobs, text="make something else of the same recording")


def _ending(job: Job) -> str:
    """The words, or why there are none."""
    return _said(job) if job.failure is None else f"failed: {job.failure['code']}"


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
