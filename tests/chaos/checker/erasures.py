"""Forgotten jobs (I26, as far as the log goes): a tombstone is the last word on each of their facts.

In: the records of the public topic and their fold. Out: violations.
"""

from collections.abc import Iterator

from tests.chaos.checker.evidence import Evidence
from tests.chaos.checker.violation import Violation


def violations(evidence: Evidence) -> Iterator[Violation]:
    """Facts of erased jobs that still stand, and erasures that miscount."""
    last = {entry.key: entry for entry in evidence.topics["transcripts"]}
    for job_id, job in evidence.jobs.items():
        if job.erased is None:
            continue
        if job.erased["erased_facts"] != job.erased["seq"] - 1:
            text = f"erased {job.erased['erased_facts']} facts at {job.erased['seq']}"
            yield Violation(invariant="I26", subject=job_id, text=text)
        for seq in range(1, job.erased["seq"]):
            entry = last.get(f"{job_id}/{seq}")
            if entry is None or entry.value is not None:
                yield Violation(invariant="I26", subject=job_id, text=f"fact {seq} still stands")
