"""The history of every job: numbers, repeats, order, legal steps (I2, I3, I4, I9, I12).

In: the records of the public topic and their fold. Out: violations.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Set

from tests.chaos.checker.evidence import Evidence
from tests.chaos.checker.fold import Fields, Job
from tests.chaos.checker.log import Entry
from tests.chaos.checker.violation import Violation

ENDINGS = ("TranscriptCompleted", "JobFailed", "JobCancelled")
OF_TRANSCRIPTS = ("SegmentsRevised", "SpeakerNamed", "SpeakersMerged", "FeedbackGiven")


def violations(evidence: Evidence) -> Iterator[Violation]:
    """Everything that is wrong with the histories."""
    erased = {job_id for job_id, job in evidence.jobs.items() if job.erased is not None}
    yield from numbering(evidence.topics["transcripts"], erased)
    for job_id, job in evidence.jobs.items():
        if job_id in erased:
            late = [kind for kind, fact in job.facts if job.erased and fact["seq"] > job.erased["seq"]]
            if late:
                yield Violation(invariant="I3", subject=job_id, text=f"{late} after the erasure")
            continue  # what it had still to say when it was erased was never said
        for invariant, text in (*_steps(job), *_segments(job)):
            yield Violation(invariant=invariant, subject=job_id, text=text)
        if job.is_open:
            yield Violation(invariant="I2", subject=job_id, text=f"is still {job.status} at {job.stage}")


def numbering(entries: list[Entry], erased: Set[str]) -> Iterator[Violation]:
    """Numbers without gap, repeats byte for byte, first appearances in order, one fact for one event id."""
    values: dict[str, bytes] = {}
    seqs: dict[str, list[int]] = defaultdict(list)
    events: Counter[str] = Counter()
    for entry in entries:
        if not entry.value:
            continue
        job_id, seq = entry.fields.get("job_id", ""), entry.fields.get("seq", 0)
        if entry.key != f"{job_id}/{seq}":
            yield Violation(invariant="I4", subject=entry.key, text=f"is the key of {entry.kind} {seq} of {job_id}")
        elif entry.key not in values:
            values[entry.key] = entry.value
            seqs[job_id].append(seq)
            events[entry.fields["event_id"]] += 1
            if events[entry.fields["event_id"]] == 2:
                text = f"one cause took effect twice: {entry.kind} at {seq}"
                yield Violation(invariant="I9", subject=job_id, text=text)
        elif values[entry.key] != entry.value:
            yield Violation(invariant="I4", subject=job_id, text=f"two different facts have the number {seq}")
    for job_id, found in seqs.items():
        if sorted(found) != list(range(1, len(found) + 1)) and job_id not in erased:
            yield Violation(invariant="I4", subject=job_id, text=f"is numbered {sorted(found)}")
        if found != sorted(found):
            yield Violation(invariant="I4", subject=job_id, text=f"was told in the order {found}")


def _steps(job: Job) -> Iterator[tuple[str, str]]:
    """The facts against what may follow what."""
    state, plan, current, there = "", set[int](), 0, False
    answered: set[tuple[int, int]] = set()
    for kind, fact in job.facts:
        seq = fact["seq"]
        if not _legal(kind, state, there):
            yield "I4", f"{kind} at {seq} while {state or 'not accepted'}"
        match kind:
            case "AudioReady":
                plan = {chunk["index"] for chunk in fact["chunks"]}
            case "ChunkCompleted":
                place = (fact["index"], fact["round"])
                if fact["index"] not in plan or fact["round"] != current or place in answered:
                    yield "I4", f"ChunkCompleted of chunk and round {place} at {seq} is unplanned or a repeat"
                answered.add(place)
            case "JobRetried":
                if fact["round"] != current + 1:
                    yield "I4", f"round {fact['round']} follows round {current}"
                current = fact["round"]
            case "TranscriptCompleted":
                there = True
                if missing := plan - {index for index, _ in answered}:
                    yield "I12", f"is complete without chunks {sorted(missing)}"
        state = _after(kind, state)


def _legal(kind: str, state: str, there: bool) -> bool:
    if kind == "JobAccepted":
        return state == ""
    if kind == "AudioReady":
        return state == "preparing"
    if kind in ("ChunkCompleted", "SegmentsPublished"):
        return state == "working"
    if kind in ENDINGS:
        return state in ("preparing", "working")
    if kind == "JobRetried":
        return state in ("completed", "failed")
    if kind in OF_TRANSCRIPTS:
        return there
    return state != ""


def _after(kind: str, state: str) -> str:
    return {
        "JobAccepted": "preparing",
        "AudioReady": "working",
        "JobRetried": "working",
        "TranscriptCompleted": "completed",
        "JobFailed": "failed",
        "JobCancelled": "cancelled",
    }.get(kind, state)


def _segments(job: Job) -> Iterator[tuple[str, str]]:
    """Segments lie in the recording, have ids of their own, and are as many as was said."""
    ids: set[str] = set()
    published: Counter[int] = Counter()
    duration = next((fact["duration_ms"] for kind, fact in job.facts if kind == "AudioReady"), 0)
    for kind, fact in job.facts:
        if kind == "SegmentsPublished":
            published[fact["round"]] += len(fact["segments"])
            again = ids & {segment["segment_id"] for segment in fact["segments"]}
            if again:
                yield "I12", f"published the ids {sorted(again)} twice"
            ids |= {segment["segment_id"] for segment in fact["segments"]}
            yield from _spans(fact, duration)
        if kind == "TranscriptCompleted" and published[fact["round"]] != fact["segment_count"]:
            yield "I12", f"says {fact['segment_count']} segments and published {published[fact['round']]}"


def _spans(fact: Fields, duration_ms: int) -> Iterator[tuple[str, str]]:
    last = 0
    for segment in fact["segments"]:
        start, end = segment["start_ms"], segment["end_ms"]
        if not 0 <= start <= end <= duration_ms or start < last:
            yield "I12", f"{segment['segment_id']} spans {start}..{end} ms of {duration_ms} after one from {last}"
        last = start
