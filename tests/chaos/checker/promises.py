"""What clients were told against the log (I1, I5, I6, I10, I14): everything acknowledged is there, exactly once.

In: the lines of `told.jsonl`, folded jobs, requests on the topics. Out: violations.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from uuid import NAMESPACE_URL, uuid5

from tests.chaos.checker.evidence import Evidence, Line
from tests.chaos.checker.fold import Fields, Job
from tests.chaos.checker.log import Entry
from tests.chaos.checker.violation import Violation

NAMESPACE = uuid5(NAMESPACE_URL, "urn:palimpsest")
OUTCOMES = {
    "CancellationRequested": ("JobCancelled", "cancellation"),
    "RetryRequested": ("JobRetried", "retry"),
    "FeedbackSubmitted": ("FeedbackGiven", "feedback"),
    "CorrectionSubmitted": ("SegmentsRevised", "correction"),
    "SpeakerNameSubmitted": ("SpeakerNamed", "speaker_name"),
    "SpeakerMergeSubmitted": ("SpeakersMerged", "speaker_merge"),
}
OPERATIONS = {
    "cancel": "CancellationRequested",
    "retry": "RetryRequested",
    "feedback": "FeedbackSubmitted",
    "merge": "SpeakerMergeSubmitted",
}


def violations(evidence: Evidence) -> Iterator[Violation]:
    """Everything that was promised and is not so."""
    for told in evidence.told:
        job = evidence.jobs.get(told["job_id"])
        check = _CHECKS.get(told["operation"])
        for invariant, text in (check or _keyed)(told, job):
            subject = told["job_id"] or told["key"]
            yield Violation(invariant=invariant, subject=subject, text=f"{told['operation']} {told['outcome']}: {text}")
    yield from _on_the_topic(evidence)
    yield from _one_outcome_each(evidence)
    yield from _uploads_and_jobs(evidence)
    yield from _revisions(evidence)


def _upload(told: Line, job: Job | None) -> Iterator[tuple[str, str]]:
    if told["outcome"] == "unknown":
        yield "I6", "never got a definite answer"
    elif told["outcome"] in ("refused", "gone"):
        if told["outcome"] == "refused":
            yield "I5", f"refused with {told['status']} {told['code']}"
    elif job is None:
        yield "I1", "acknowledged, and the log knows no such job"
    elif job.tenant_id != told["tenant"]:
        yield "I13", f"the job belongs to {job.tenant_id}"
    elif job.accepted is not None and job.accepted["audio"]["sha256"] != told["sha256"]:
        yield "I13", "the job has another recording"
    elif job.audio is not None and told["duration_s"] and job.audio["duration_ms"] != round(told["duration_s"] * 1000):
        yield "I12", f"{job.audio['duration_ms']} ms were heard of {told['duration_s']} s"
    expected = str(uuid5(NAMESPACE, f"job/{told['tenant']}/{told['key']}"))
    if told["job_id"] not in ("", expected):
        yield "I5", f"the key names the job {expected}"


def _delete(told: Line, job: Job | None) -> Iterator[tuple[str, str]]:
    if told["outcome"] in ("done", "pending", "gone") and (job is None or job.erased is None):
        yield "I1", "the job is not erased"
    if told["outcome"] == "refused":
        yield "I5", f"refused with {told['status']} {told['code']}"


def _correct(told: Line, job: Job | None) -> Iterator[tuple[str, str]]:
    if job is None or job.erased is not None:
        return
    count = sum(
        any(segment["text"] == told["mark"] for segment in fact["segments"])
        for kind, fact in job.facts
        if kind == "SegmentsRevised"
    )
    allowed = {"done": {1}, "refused": {0}, "gone": {0}}.get(told["outcome"], {0, 1})
    if count not in allowed:
        yield ("I14" if told["outcome"] == "refused" else "I1"), f"took effect {count} times"


def _name(told: Line, job: Job | None) -> Iterator[tuple[str, str]]:
    if job is None or job.erased is not None or told["outcome"] != "done":
        return
    if not any(kind == "SpeakerNamed" and fact["name"] == told["mark"] for kind, fact in job.facts):
        yield "I1", "nobody was named"


def _on_the_topic(evidence: Evidence) -> Iterator[Violation]:
    """A correction or a name that was answered with 202 is written down; what must come of it is the next rule."""
    written = {text for entry in evidence.topics["corrections"] for text in _texts(entry)}
    for told in evidence.told:
        pending = told["operation"] in ("correct", "name") and told["outcome"] == "pending"
        if pending and told["mark"] not in written:
            text = f"{told['operation']} pending: the request is nowhere"
            yield Violation(invariant="I1", subject=told["job_id"], text=text)


def _texts(entry: Entry) -> Iterator[str]:
    if entry.kind == "CorrectionSubmitted":
        yield from (segment["text"] for segment in entry.fields["replacement"])
    if entry.kind == "SpeakerNameSubmitted":
        yield entry.fields["name"] or ""


def _keyed(told: Line, job: Job | None) -> Iterator[tuple[str, str]]:
    """Requests with a key: they take effect at most once however often they are sent."""
    if job is None or job.erased is not None:
        return
    kind, request = OUTCOMES[OPERATIONS[told["operation"]]]
    effects = [fact for name, fact in job.facts if name == kind]
    if told["mark"]:
        effects = [fact for fact in effects if fact["comment"] == told["mark"]]
    refusals = sum(name == "RequestRefused" and fact["request"] == request for name, fact in job.facts)
    if len(effects) > 1:
        yield "I5", f"took effect {len(effects)} times"
    if told["outcome"] == "done" and len(effects) != 1:
        yield "I1", "did not take effect"
    if told["outcome"] == "pending" and len(effects) + refusals < 1:
        yield "I1", "has no outcome"
    if told["outcome"] == "refused" and effects:
        yield "I10", "took effect"
    if told["outcome"] == "unknown":
        yield "I6", "never got a definite answer"


def _one_outcome_each(evidence: Evidence) -> Iterator[Violation]:
    """Every request on the topics has exactly one outcome that names it."""
    outcomes: Counter[str] = Counter()
    names = {name for name, _ in OUTCOMES.values()} | {"RequestRefused"}
    for job in evidence.jobs.values():
        outcomes.update(fact["cause_id"] for kind, fact in job.facts if kind in names)
    asked = {
        entry.fields["event_id"]: entry
        for topic in ("controls", "corrections")
        for entry in evidence.topics[topic]
        if entry.kind in OUTCOMES
    }
    for event_id, entry in asked.items():
        job_id = entry.fields["job_id"]
        known = evidence.jobs.get(job_id)
        if known is not None and known.erased is None and outcomes[event_id] != 1:
            text = f"{entry.kind} {event_id} has {outcomes[event_id]} outcomes"
            yield Violation(invariant="I6", subject=job_id, text=text)


def _uploads_and_jobs(evidence: Evidence) -> Iterator[Violation]:
    """As many jobs as keys; nobody has a job that no client asked for."""
    asked: dict[str, set[str]] = defaultdict(set)
    for told in evidence.told:
        if told["operation"].startswith("upload"):
            asked[told["tenant"]].add(str(uuid5(NAMESPACE, f"job/{told['tenant']}/{told['key']}")))
    for job_id, job in evidence.jobs.items():
        if job_id not in asked[job.tenant_id]:
            yield Violation(invariant="I1", subject=job_id, text=f"nobody of {job.tenant_id} asked for this job")


def _revisions(evidence: Evidence) -> Iterator[Violation]:
    """No lost update: a correction that took effect started from the revisions there were just before it."""
    asked = {entry.fields["event_id"]: entry.fields for entry in evidence.topics["corrections"] if entry.kind}
    for job in evidence.jobs.values():
        revisions: dict[str, int] = {}
        for kind, fact in job.facts:
            if kind == "SegmentsRevised" and (request := asked.get(fact["cause_id"])) is not None:
                yield from _base(job.job_id, request, revisions)
            for segment in fact.get("segments", ()):
                revisions[segment["segment_id"]] = fact["seq"]


def _base(job_id: str, request: Fields, revisions: dict[str, int]) -> Iterator[Violation]:
    for base in request["base"]:
        if revisions.get(base["segment_id"]) != base["revision"]:
            text = f"{base['segment_id']} was corrected from revision {base['revision']}, not the latest"
            yield Violation(invariant="I14", subject=job_id, text=text)


_CHECKS = {"upload": _upload, "upload-again": _upload, "delete": _delete, "correct": _correct, "name": _name}
