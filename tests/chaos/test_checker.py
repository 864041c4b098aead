"""The checker: it shares no code with the product, and it finds what is wrong with a made-up log."""

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.checker import cuts, endings, erasures, histories, letters, promises, sameness, traces
from tests.chaos.checker.evidence import Evidence, fold_all
from tests.chaos.checker.log import TOPICS, Entry, Fields
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


def _record(topic: str, kind: str, offset: int = 0, value: bytes | None = b"", **fields: Any) -> Entry:
    return Entry(
        topic=topic, partition=0, offset=offset, key=JOB, value=value, headers={}, kind=kind, fields={**fields}
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
    topics = {**dict.fromkeys(TOPICS, ()), "transcripts": entries, **more.pop("topics", {})}
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
    line |= {"code": "", "sha256": "aa", "script": "plain"}
    return {**line, "status": 200, "number": 0, "duration_s": 0.9, **more}


@pytest.mark.parametrize(
    ("line", "invariant"),
    [
        (_told("upload", "pending", job_id=OTHER), "I1"),
        (_told("upload", "pending", sha256="bb"), "I13"),
        (_told("upload", "pending", duration_s=1.2), "I12"),
        (_told("upload", "unknown"), "I6"),
        (_told("cancel", "done"), "I1"),
        (_told("delete", "done"), "I1"),
        (_told("correct", "done", mark="a new text"), "I1"),
        (_told("correct", "refused", mark="amber basin"), "I14"),
        (_told("correct", "pending", mark="never written"), "I1"),
        (_told("name", "pending", mark="never written"), "I1"),
        (_told("feedback", "pending", mark="good"), "I1"),
        (_told("merge", "done"), "I1"),
    ],
)
def test_a_broken_promise_is_found(line: dict[str, Any], invariant: str) -> None:
    corrected = _fact("SegmentsRevised", 6, removed=[], segments=[SEGMENT])
    found = promises.violations(_evidence([*_history(), corrected], told=[line]))
    assert invariant in _invariants(found)


def test_a_request_without_outcome_is_found() -> None:
    asked = _record("controls", "RetryRequested", event_id="e", job_id=JOB)
    found = promises.violations(_evidence(_history(), topics={"controls": [asked]}))
    assert "I6" in _invariants(found)


def test_a_pending_correction_is_kept_by_its_record_and_one_outcome() -> None:
    told = [_told("correct", "pending", mark="new"), _told("name", "pending", mark="Ada")]
    asked = [
        _record("corrections", "CorrectionSubmitted", event_id="e", job_id=JOB, base=[], replacement=[{"text": "new"}]),
        _record("corrections", "SpeakerNameSubmitted", event_id="f", job_id=JOB, name="Ada"),
    ]
    refused = [_fact("RequestRefused", seq, cause_id=cause, request="x") for seq, cause in ((6, "e"), (7, "f"))]
    kept = _evidence([*_history(), *refused], told=told, topics={"corrections": asked})
    assert [found for found in promises.violations(kept) if "asked for" not in found.text] == []
    forgotten = _evidence(_history(), told=told, topics={"corrections": asked})
    assert "I6" in _invariants(promises.violations(forgotten))


def test_the_same_recording_must_say_the_same_and_another_something_else() -> None:
    same = [*_history(), *_history(OTHER)]
    assert _invariants(sameness.violations(_evidence(same))) == set()
    otherwise = [*_history(), *_history(OTHER, text="cedar delta")]
    assert _invariants(sameness.violations(_evidence(otherwise))) == {"I11"}
    swapped = [*_history(), *_history(OTHER, sha256="bb")]
    assert _invariants(sameness.violations(_evidence(swapped))) == {"I13"}


def test_the_same_recording_must_end_alike_unless_somebody_cancelled() -> None:
    failed = [_history(OTHER)[0], _fact("JobFailed", 2, OTHER, code="damaged", stage="preparing")]
    assert _invariants(sameness.violations(_evidence([*_history(), *failed]))) == {"I11"}
    cancelled = [_history(OTHER)[0], _fact("JobCancelled", 2, OTHER)]
    assert _invariants(sameness.violations(_evidence([*_history(), *cancelled]))) == set()
    again = [_history()[0], _fact("JobFailed", 2, code="damaged", stage="preparing")]
    assert _invariants(sameness.violations(_evidence([*again, *failed]))) == set()


FAILED = [*_history()[:2], _fact("JobFailed", 3, code="stub_failed", stage="transcribing")]
RETRIED = [*FAILED, _fact("JobRetried", 4, round=1, chunks=[0])]
GAP = _fact("TranscriptCompleted", 5, round=0, speakers=[], gaps=[{"code": "engine_crashed"}])


@pytest.mark.parametrize(
    ("script", "entries", "found"),
    [
        ("plain", [_history()[0], _fact("JobFailed", 2, code="damaged", stage="preparing")], {"I8"}),
        ("rubbish", [_history()[0], _fact("JobFailed", 2, code="damaged", stage="preparing")], set()),
        ("rubbish", FAILED, {"I8"}),
        ("fail-and-retry", FAILED, set()),
        ("fail-and-retry", RETRIED, set()),
        ("fail-and-retry", [*RETRIED, _fact("JobFailed", 5, code="stub_failed", stage="transcribing")], {"I8"}),
        ("crash", [*_history()[:4], GAP], set()),
        ("correct", [*_history()[:4], GAP], {"I8"}),
        ("delete", [*_history()[:4], GAP, _fact("JobErased", 6, erased_facts=5)], {"I8"}),
        ("plain", [*_history()[:4], _fact("JobCancelled", 5)], {"I8"}),
        ("cancel", [*_history()[:4], _fact("JobCancelled", 5)], set()),
    ],
)
def test_a_job_ends_badly_only_where_its_client_ordered_it(script: str, entries: list[Entry], found: set[str]) -> None:
    told = [_told("upload", "pending", script=script)]
    assert _invariants(endings.violations(_evidence(entries, told=told))) == found


def test_a_round_with_other_options_is_found() -> None:
    """Also of a job that was erased since: the model may have had its sound with them."""
    erased = [*_history(), _fact("JobErased", 6, erased_facts=5)]
    for topic in cuts.TOPICS:
        for vocabulary, found in (([], set()), (["term"], {"I7"})):
            cut = _record(topic, "ChunkCut", job_id=JOB, index=0, round=1, options={"vocabulary": vocabulary})
            assert _invariants(cuts.violations(_evidence(erased, topics={topic: [cut]}))) == found


def _letter(reader: str, fields: Fields) -> Entry:
    letter = _record("dead-letters", "ChunkCut" if fields else "", **fields)
    origin = {"topic": "uploads", "partition": "0", "offset": "7", "group": f"p-{reader}", "exception": "poison"}
    return replace(letter, headers={f"__dlq.errors.{name}": value for name, value in origin.items()})


@pytest.mark.parametrize(
    ("readers", "poison", "found"),
    [
        (("assembler", "chunker"), b"garbage", set()),
        (("assembler", "chunker", "chunker"), b"garbage", set()),
        (("assembler",), b"garbage", {"I8"}),
        (("assembler", "chunker", "projector"), b"garbage", {"I8"}),
        (("assembler", "chunker"), b"", {"I8"}),
    ],
    ids=["both", "one of them twice", "one did not", "one too many", "of no poison"],
)
def test_a_letter_too_many_or_too_few_is_found(readers: tuple[str, ...], poison: bytes, found: set[str]) -> None:
    written = [{"topic": "uploads", "value": poison.hex()}] if poison else []
    topics = {
        "uploads": [_record("uploads", "", offset=7, value=b"garbage")],
        "dead-letters": [_letter(reader, {}) for reader in readers],
    }
    evidence = _evidence(_history(), world={"prefix": "p-"}, poison=written, topics=topics)
    assert _invariants(letters.violations(evidence)) == found


def test_an_innocent_order_in_a_letter_is_found_and_a_deadly_one_may_be_there() -> None:
    for words, found in ((["stub:crash"], set()), (["a name"], {"I8"})):
        topics = {"dead-letters": [_letter("speech-asr", {"options": {"vocabulary": words}})]}
        evidence = _evidence(_history(), world={"prefix": "p-"}, topics=topics)
        assert _invariants(letters.violations(evidence)) == found


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("one cedar of many, a river", set()),
        ("file quetzalcoatlus-7.wav", {"I28"}),
        ("key s3cr3t", {"I28"}),
        ("said: one cedar two rivers", {"I28"}),
    ],
)
def test_a_log_that_tells_is_found(tmp_path: Path, line: str, found: set[str]) -> None:
    (tmp_path / "worker.log").write_text(f"something\n{line}\n")
    world = {"canaries": ["s3cr3t"], "logs": str(tmp_path)}
    evidence = _evidence(_history(text="one cedar two rivers and more"), world=world)
    assert _invariants(traces.violations(evidence)) == found
