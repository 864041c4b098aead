"""The checker: it shares no code with the product, and it finds what is wrong with a made-up log."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.checker import erasures, histories, promises, sameness
from tests.chaos.checker.evidence import Evidence, fold_all
from tests.chaos.checker.log import Entry
from tests.chaos.checker.violation import Violation

CHECKER = Path(__file__).parent / "checker"
OURS = {"schemas", "runtime", "streams", "projections", "effects", "api", "cli", "local", "bench"}
FOLD_LINES = 250
JOB, OTHER = "11111111-0000-4000-8000-000000000000", "22222222-0000-4000-8000-000000000000"
SEGMENT = {"segment_id": "s4-1", "start_ms": 0, "end_ms": 900, "text": "amber basin", "speaker_id": "spk1"}


def _imported() -> Iterator[str]:
    for path in CHECKER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield node.module or ""


def test_it_shares_no_code_with_the_product_nor_with_the_harness() -> None:
    names = set(_imported())
    assert not {name for name in names if name.partition(".")[0] in OURS}
    assert not {name for name in names if name.startswith("tests") and not name.startswith("tests.chaos.checker")}


def test_its_fold_is_small() -> None:
    assert (CHECKER / "fold.py").read_text().count("\n") <= FOLD_LINES


def _fact(kind: str, seq: int, job_id: str = JOB, **fields: Any) -> Entry:
    head = {"job_id": job_id, "tenant_id": "court", "seq": seq, "event_id": f"{job_id}-{kind}-{seq}"}
    body = {**head, "cause_id": f"cause-{seq}", "actor": "assembler", "occurred_at": seq, **fields}
    return Entry(
        topic="transcripts",
        partition=0,
        offset=seq,
        key=f"{job_id}/{seq}",
        value=repr(body).encode(),
        headers={},
        kind=kind,
        fields=body,
    )


def _history(job_id: str = JOB, text: str = "amber basin", sha256: str = "aa") -> list[Entry]:
    """A job of one chunk, complete."""
    audio = {"key": f"court/{job_id}/audio", "size_bytes": 1, "sha256": sha256}
    done = {"round": 0, "duration_ms": 900, "language": "en", "speakers": [], "segment_count": 1, "word_count": 2}
    return [
        _fact("JobAccepted", 1, job_id, audio=audio, options={"vocabulary": []}, file_name="x", lane="batch"),
        _fact("AudioReady", 2, job_id, duration_ms=900, lane="batch", chunks=[{"index": 0}]),
        _fact("ChunkCompleted", 3, job_id, index=0, round=0, text=text, failed=[]),
        _fact("SegmentsPublished", 4, job_id, round=0, segments=[{**SEGMENT, "text": text}]),
        _fact("TranscriptCompleted", 5, job_id, **done, gaps=[]),
    ]


def _evidence(entries: list[Entry], **more: Any) -> Evidence:
    topics = {"transcripts": entries, "controls": [], "corrections": [], **more.pop("topics", {})}
    given: dict[str, Any] = {"world": {}, "told": [], "poison": [], "samples": [], **more}
    return Evidence(topics=topics, jobs=fold_all(entries), **given)


def _invariants(found: Iterator[Violation]) -> set[str]:
    return {violation.invariant for violation in found}


def test_a_sound_history_is_sound() -> None:
    entries = [*_history(), *_history()[2:4]]
    assert list(histories.violations(_evidence(entries))) == []


@pytest.mark.parametrize(
    ("entries", "invariant"),
    [
        pytest.param(_history()[:3], "I2", id="a job that never ends"),
        pytest.param([*_history()[:2], *_history()[3:]], "I4", id="a lost fact"),
        pytest.param([*_history(), _fact("JobFailed", 5, code="x", stage=None)], "I4", id="one number, two facts"),
        pytest.param([*_history(), _fact("JobCancelled", 6)], "I4", id="a second end"),
        pytest.param([_history()[0], _history()[2], _history()[1], *_history()[3:]], "I4", id="told out of order"),
        pytest.param([*_history(), _fact("FeedbackGiven", 6, event_id=f"{JOB}-AudioReady-2")], "I9", id="twice"),
        pytest.param(
            [*_history()[:3], _fact("SegmentsPublished", 4, round=0, segments=[SEGMENT, SEGMENT]), _history()[4]],
            "I12",
            id="a segment too many",
        ),
    ],
)
def test_a_broken_history_is_found(entries: list[Entry], invariant: str) -> None:
    assert invariant in _invariants(histories.violations(_evidence(entries)))


def test_what_was_erased_must_not_stand() -> None:
    erased = [*_history(), _fact("JobErased", 6, erased_facts=5)]
    assert _invariants(erasures.violations(_evidence(erased))) == {"I26"}


def _told(operation: str, outcome: str, **more: Any) -> dict[str, Any]:
    line = {"operation": operation, "outcome": outcome, "tenant": "court", "job_id": JOB, "key": "k", "mark": ""}
    return {**line, "status": 200, "code": "", "sha256": "aa", "number": 0, **more}


@pytest.mark.parametrize(
    ("line", "invariant"),
    [
        (_told("upload", "pending", job_id=OTHER), "I1"),
        (_told("upload", "pending", sha256="bb"), "I13"),
        (_told("upload", "unknown"), "I6"),
        (_told("cancel", "done"), "I1"),
        (_told("delete", "done"), "I1"),
        (_told("correct", "done", mark="a new text"), "I1"),
        (_told("correct", "refused", mark="amber basin"), "I14"),
        (_told("feedback", "pending", mark="good"), "I1"),
    ],
)
def test_a_broken_promise_is_found(line: dict[str, Any], invariant: str) -> None:
    corrected = _fact("SegmentsRevised", 6, removed=[], segments=[SEGMENT])
    found = promises.violations(_evidence([*_history(), corrected], told=[line]))
    assert invariant in _invariants(found)


def test_a_request_without_outcome_is_found() -> None:
    asked = Entry(
        topic="controls",
        partition=0,
        offset=0,
        key=JOB,
        value=b"",
        headers={},
        kind="RetryRequested",
        fields={"event_id": "e", "job_id": JOB},
    )
    found = promises.violations(_evidence(_history(), topics={"controls": [asked]}))
    assert "I6" in _invariants(found)


def test_the_same_recording_must_say_the_same_and_another_something_else() -> None:
    same = [*_history(), *_history(OTHER)]
    assert _invariants(sameness.violations(_evidence(same))) == set()
    otherwise = [*_history(), *_history(OTHER, text="cedar delta")]
    assert _invariants(sameness.violations(_evidence(otherwise))) == {"I11"}
    swapped = [*_history(), *_history(OTHER, sha256="bb")]
    assert _invariants(sameness.violations(_evidence(swapped))) == {"I13"}
