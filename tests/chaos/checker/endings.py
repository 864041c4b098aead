"""How jobs ended (I8): a recording that is sound fails only where its client ordered that, and so with gaps and ends.

In: what each client did with its upload, folded jobs. Out: violations. Facts of jobs erased later count as well.
"""

from collections.abc import Iterator

from tests.chaos.checker.evidence import Evidence
from tests.chaos.checker.fold import Job
from tests.chaos.checker.violation import Violation

BROKEN = frozenset({"engine_crashed", "engine_timeout", "transcription_failed"})
# Codes with which an upload may fail, or have gaps, by the script of its client; all others have none.
MAY_FAIL = {
    "rubbish": frozenset({"not_audio", "unsupported_audio", "no_audio_track", "damaged"}),
    "fail-and-retry": frozenset({"stub_failed"}),
    "crash": BROKEN,
    "hang": BROKEN,
}
# What the stub engines obey in the first round only.
FIRST_ROUND = frozenset({"stub_failed"})


def violations(evidence: Evidence) -> Iterator[Violation]:
    """Failures, gaps and cancellations that nobody ordered."""
    scripts = {told["job_id"]: told["script"] for told in evidence.told if told["operation"].startswith("upload")}
    for job_id, script in scripts.items():
        if job := evidence.jobs.get(job_id):
            for text in _unordered(job, script):
                yield Violation(invariant="I8", subject=job_id, text=f"{text}, which nobody ordered of {script}")


def _unordered(job: Job, script: str) -> Iterator[str]:
    allowed = MAY_FAIL.get(script, frozenset())
    for kind, fact in job.facts:
        match kind:
            case "JobRetried":
                allowed -= FIRST_ROUND
            case "JobFailed" if fact["code"] not in allowed:
                yield f"failed with {fact['code']}"
            case "TranscriptCompleted" if codes := {gap["code"] for gap in fact["gaps"]} - allowed:
                yield f"has gaps: {sorted(codes)}"
            case "JobCancelled" if script != "cancel":
                yield "was cancelled"
