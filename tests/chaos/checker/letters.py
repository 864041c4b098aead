"""Dead letters (I8): every poison is buried, once for each reader and byte for byte, and nothing else is.

In: what was written to poison topics, the dead letters. Out: violations. A letter may stand there twice
when its writer was killed in between; it is the same letter then.
"""

from collections.abc import Iterator

from tests.chaos.checker.evidence import Evidence
from tests.chaos.checker.log import Entry
from tests.chaos.checker.violation import Violation

READERS = {
    "uploads": {"assembler", "chunker"},
    "uploads.long": {"assembler", "chunker-long"},
    "controls": {"assembler"},
    "corrections": {"assembler"},
    "transcriptions": {"assembler"},
    "chunks.interactive": {"speech-asr", "speech-diarization"},
    "chunks.batch": {"speech-asr", "speech-diarization"},
}
# Words in a job's vocabulary that make the stub engines fail.
ORDERED = ("stub:crash", "stub:hang", "stub:fail")
Place = tuple[str, int, int]


def violations(evidence: Evidence) -> Iterator[Violation]:
    """Poison that was not buried, and burials of the innocent."""
    prefix = evidence.world["prefix"]
    wanted = {place: READERS[place[0]] for place in _poison(evidence)}
    buried: dict[Place, set[str]] = {}
    for entry in evidence.topics["dead-letters"]:
        place, group = _origin(entry)
        buried.setdefault(place, set()).add(group.removeprefix(prefix))
        if place not in wanted and not _of_poisoned_job(entry):
            why = entry.headers.get("__dlq.errors.exception", "")
            yield Violation(invariant="I8", subject=str(place), text=f"{group} buried an innocent {entry.kind}: {why}")
    for place, readers in wanted.items():
        if buried.get(place, set()) != readers:
            text = f"was buried by {sorted(buried.get(place, set()))}, not by {sorted(readers)}"
            yield Violation(invariant="I8", subject=str(place), text=text)


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


def _of_poisoned_job(entry: Entry) -> bool:
    options = entry.fields.get("options") or {}
    return any(word.startswith(ORDERED) for word in options.get("vocabulary", ()))
