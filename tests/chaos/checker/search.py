"""The search index against the fold of the log (I13, I16): every segment that is shown, as it is shown, and no other.

In: an index, folded jobs. Out: violations. A document that says it is deleted counts as none.
"""

from collections.abc import Iterator
from typing import Any

import httpx

from tests.chaos.checker.evidence import Evidence
from tests.chaos.checker.fold import Job
from tests.chaos.checker.violation import Violation

ALIAS = "segments"
PAGE = 2_000
SHOWN = ("tenant_id", "created_at", "file_name", "start_ms", "end_ms", "speaker_id", "speaker", "language", "text")
Document = dict[str, Any]


def violations(evidence: Evidence) -> Iterator[Violation]:
    """Missing, foreign and stale documents."""
    wanted = {f"{job.job_id}/{name}": body for job in evidence.jobs.values() for name, body in _documents(job)}
    found = _indexed(evidence.world["opensearch"], evidence.world["index_prefix"] + ALIAS)
    for name in sorted(wanted.keys() - found.keys()):
        yield Violation(invariant="I16", subject=name, text="is not in the index")
    for name in sorted(found.keys() - wanted.keys()):
        yield Violation(invariant="I16", subject=name, text="is an orphan in the index")
    for name in sorted(wanted.keys() & found.keys()):
        other = {field for field in SHOWN if wanted[name][field] != found[name].get(field)}
        if other:
            yield Violation(invariant="I16", subject=name, text=f"is indexed with another {', '.join(sorted(other))}")


def _documents(job: Job) -> Iterator[tuple[str, Document]]:
    for name, segment in job.live().items():
        fields = segment.fields
        accepted = job.accepted or {}
        yield (
            name,
            {
                "tenant_id": job.tenant_id,
                "created_at": accepted.get("occurred_at"),
                "file_name": accepted.get("file_name"),
                "start_ms": fields["start_ms"],
                "end_ms": fields["end_ms"],
                "speaker_id": job.stands_for(fields["speaker_id"]),
                "speaker": job.called(fields["speaker_id"]),
                "language": fields["language"],
                "text": fields["text"],
            },
        )


def _indexed(url: str, index: str) -> dict[str, Document]:
    """Every document that is not marked deleted, by id."""
    found: dict[str, Document] = {}
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as http:
        http.post(f"/{index}/_refresh").raise_for_status()
        page = http.post(f"/{index}/_search", params={"scroll": "1m"}, json={"size": PAGE}).raise_for_status().json()
        while hits := page["hits"]["hits"]:
            found |= {hit["_id"]: hit["_source"] for hit in hits if not hit["_source"].get("deleted")}
            again = {"scroll": "1m", "scroll_id": page["_scroll_id"]}
            page = http.post("/_search/scroll", json=again).raise_for_status().json()
    return found
