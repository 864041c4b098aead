"""Orders to the models (I7): in every round each is for what the client asked for when it handed the recording in.

In: the records of the chunk topics, folded jobs. Out: violations.
"""

from collections.abc import Iterator

from tests.chaos.checker.evidence import Evidence
from tests.chaos.checker.violation import Violation

TOPICS = ("chunks.interactive", "chunks.batch")


def violations(evidence: Evidence) -> Iterator[Violation]:
    """Orders with other options than their job's; an erased job's first fact is still in the log."""
    asked = {
        job_id: fact["options"]
        for job_id, job in evidence.jobs.items()
        for kind, fact in job.facts
        if kind == "JobAccepted"
    }
    for entry in (entry for topic in TOPICS for entry in evidence.topics[topic] if entry.kind == "ChunkCut"):
        cut = entry.fields
        if cut["job_id"] in asked and cut["options"] != asked[cut["job_id"]]:
            text = f"chunk {cut['index']} of round {cut['round']} is wanted with other options than the job was"
            yield Violation(invariant="I7", subject=cut["job_id"], text=text)
