"""Dead letters (I8): every poison is buried, once for each reader and byte for byte, and nothing else is.

In: what was written to poison topics, the dead letters, how jobs ended. Out: violations. A letter may stand there twice
when its writer was killed in between; it is the same letter then.
"""

from collections.abc import Iterator

from tests.chaos.checker.evidence import Evidence
from tests.chaos.checker.fold import Job
from tests.chaos.checker.log import Entry
from tests.chaos.checker.violation import Violation

READERS = {
    "uploads": {"assembler", "chunker"},
    "controls": {"assembler"},
    "corrections": {"assembler"},
    "transcriptions": {"assembler"},
    "chunks.interactive": {"speech-asr", "speech-diarization"},
    "chunks.batch": {"speech-asr", "speech-diarization"},
}
# Words in a job's vocabulary that make the stub engines fail.
ORDERED = ("stub:crash", "stub:hang", "stub:fail")
ALLOWED_FAILURES = frozenset({"not_audio", "unsupported_audio", "no_audio_track", "damaged", "stub_failed"})
Place = tuple[str, int, int]


def violations(evidence: Evidence) -> Iterator[Violation]:
    """Poison that was not buried, and burials of the innocent."""
    prefix = evidence.world["prefix"]
    wanted = {place: READERS[place[0]] for place in _poison(evidence)}
    buried: dict[Place, set[str]] = {}
    for entry in evidence.topics["dead-letters"]:
        place, group = _origin(entry)
        buried.setdefault(place, set()).add(group.removeprefix(prefix))
        if place not in wanted and not _of_poisoned_job(entry, evidence.jobs):
            why = entry.headers.get("__dlq.errors.exception", "")
            yield Violation(invariant="I8", subject=str(place), text=f"{group} buried an innocent {entry.kind}: {why}")
    for place, readers in wanted.items():
        if buried.get(place, set()) != readers:
            text = f"was buried by {sorted(buried.get(place, set()))}, not by {sorted(readers)}"
            yield Violation(invariant="I8", subject=str(place), text=text)
    yield from _endings(evidence)


def _poison(evidence: Evidence) -> Iterator[Place]:
    written = {(line["topic"], bytes.fromhex(line["value"])) for line in evidence.poison}
    for topic in READERS:
        for entry in evidence.topics[topic]:
            if (topic, entry.value) in written:
                yield topic, entry.partition, entry.offset


def _origin(entry: Entry) -> tuple[Place, str]:
    head = entry.headers
    place = (head["__dlq.errors.topic"], int(head["__dlq.errors.partition"]), int(head["__dlq.errors.offset"]))
    return place, head["__dlq.errors.group"]


def _of_poisoned_job(entry: Entry, jobs: dict[str, Job]) -> bool:
    options = entry.fields.get("options") or {}
    return any(word.startswith(ORDERED) for word in options.get("vocabulary", ()))


def _endings(evidence: Evidence) -> Iterator[Violation]:
    """Only what was ordered to fail has gaps; what is no sound is refused as such."""
    for told in evidence.told:
        job = evidence.jobs.get(told["job_id"])
        if job is None or job.accepted is None or not told["operation"].startswith("upload"):
            continue
        words = job.accepted["options"]["vocabulary"]
        if any(word.startswith(ORDERED[:2]) for word in words):
            continue
        if job.completed is not None and job.completed["gaps"]:
            codes = sorted({gap["code"] for gap in job.completed["gaps"]})
            yield Violation(invariant="I8", subject=job.job_id, text=f"has gaps nobody ordered: {codes}")
        if job.failure is not None and job.failure["code"] not in ALLOWED_FAILURES:
            code = job.failure["code"]
            yield Violation(invariant="I8", subject=job.job_id, text=f"failed with {code}, which nobody ordered")
