"""Logs without secrets and without what people said (I28).

In: the folder of all log files, words that may not stand there. Out: violations.
"""

from collections.abc import Iterator
from pathlib import Path

from tests.chaos.checker.evidence import Evidence
from tests.chaos.checker.violation import Violation

MARK = "quetzalcoatlus"  # stands in every file name, correction, speaker name and judgement of the run
TEXTS = 40
PHRASE_WORDS = 4


def violations(evidence: Evidence) -> Iterator[Violation]:
    """Files in which one of them stands."""
    canaries = {MARK: "a file name or a text of a person"}
    canaries |= {secret: "a secret" for secret in evidence.world["canaries"]}
    canaries |= {text: "words of a transcript" for text in _phrases(evidence)}
    for path in sorted(Path(evidence.world["logs"]).iterdir()):
        content = path.read_text(errors="replace")
        for canary, what in canaries.items():
            if canary in content:
                yield Violation(invariant="I28", subject=path.name, text=f"holds {what}")


def _phrases(evidence: Evidence) -> Iterator[str]:
    """The first words of some transcripts."""
    for job in list(evidence.jobs.values())[:TEXTS]:
        for segment in list(job.live().values())[:1]:
            words = segment.fields["text"].split()
            if len(words) >= PHRASE_WORDS:
                yield " ".join(words[:PHRASE_WORDS])
