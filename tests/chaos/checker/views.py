"""The PostgreSQL views against the fold of the log (I13, I15): every row that must be there, and no other.

In: a database, folded jobs. Out: violations. Each view is a function from a job to its expected rows.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import psycopg

from tests.chaos.checker.evidence import Evidence
from tests.chaos.checker.fold import Job
from tests.chaos.checker.violation import Violation

Rows = Iterator[tuple[Any, ...]]
MAX_SHOWN = 3


def violations(evidence: Evidence) -> Iterator[Violation]:
    """Differences, view by view."""
    with psycopg.connect(evidence.world["postgres"], connect_timeout=30) as conn:
        for name, (columns, expected) in VIEWS.items():
            found = {_plain(row) for row in conn.execute(f"SELECT {columns} FROM {name}".encode())}
            wanted = {_plain(row) for job in evidence.jobs.values() for row in expected(job)}
            for word, rows in (("lacks", wanted - found), ("should not have", found - wanted)):
                for row in sorted(map(str, rows))[:MAX_SHOWN]:
                    text = f"{word} {len(rows)} rows, such as {row[:300]}"
                    yield Violation(invariant="I15", subject=name, text=text)


def _plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row that can stand in a set."""
    return tuple(json.dumps(item, sort_keys=True) if isinstance(item, dict | list) else item for item in row)


def _head(job: Job, seq: int) -> tuple[Any, ...]:
    return (job.job_id, job.tenant_id, seq)


def _request(job: Job) -> Rows:
    if fact := job.accepted:
        audio = fact["audio"]
        yield (
            *_head(job, fact["seq"]),
            fact["occurred_at"],
            fact["actor"],
            audio["key"],
            audio["size_bytes"],
            audio["sha256"],
            fact["file_name"],
            fact["lane"],
        )


def _audio(job: Job) -> Rows:
    if fact := job.audio:
        yield (*_head(job, fact["seq"]), fact["duration_ms"], fact["lane"], len(fact["chunks"]))


def _state(job: Job) -> Rows:
    if job.erased is None:
        code = job.failure["code"] if job.failure else None
        yield (*_head(job, job.state_seq), job.status, job.stage, code)


def _chunk(job: Job) -> Rows:
    for index, fact in job.chunks.items():
        span = (fact["start_ms"], fact["end_ms"])
        yield (*_head(job, fact["seq"]), index, fact["round"], *span, fact["text"], len(fact["failed"]))


def _retry(job: Job) -> Rows:
    if fact := job.retried:
        yield (*_head(job, fact["seq"]), fact["round"], len(fact["chunks"]))


def _completion(job: Job) -> Rows:
    if fact := job.completed:
        yield (*_head(job, fact["seq"]), fact["round"], fact["duration_ms"], fact["language"], len(fact["gaps"]))


def _touch(job: Job) -> Rows:
    yield _head(job, job.seq)


def _erasure(job: Job) -> Rows:
    if fact := job.erased:
        yield _head(job, fact["seq"])


def _history(job: Job) -> Rows:
    for kind, fact in job.facts:
        if job.erased is None or fact["seq"] >= job.erased["seq"]:
            told = fact["code"] if kind in ("RequestRefused", "JobFailed") else None
            yield (*_head(job, fact["seq"]), kind, fact["actor"], fact["cause_id"], fact["event_id"], told)


def _segment(job: Job) -> Rows:
    for name, segment in job.segments.items():
        fields = segment.fields
        if segment.removed:
            yield (*_head(job, segment.seq), name, True, 0, 0, None, None, "", [])
        else:
            words = [word["text"] for word in fields["words"]]
            span = (fields["start_ms"], fields["end_ms"])
            said = (fields["speaker_id"], fields["language"], fields["text"], words)
            yield (*_head(job, segment.seq), name, False, *span, *said)


def _speaker(job: Job) -> Rows:
    for name, (seq, fields) in job.speakers.items():
        yield (*_head(job, seq), name, fields["label"], fields["speech_ms"])


def _name(job: Job) -> Rows:
    for name, (seq, text) in job.names.items():
        yield (*_head(job, seq), name, text)


def _merge(job: Job) -> Rows:
    for name, (seq, into) in job.merges.items():
        yield (*_head(job, seq), name, into)


def _transcript_job(job: Job) -> Rows:
    if fact := job.accepted:
        yield (*_head(job, fact["seq"]), fact["occurred_at"], fact["file_name"])


_HEAD = "job_id, tenant_id, seq"
VIEWS: dict[str, tuple[str, Callable[[Job], Rows]]] = {
    "job_request": (f"{_HEAD}, occurred_at, actor, audio_key, size_bytes, sha256, file_name, lane", _request),
    "job_audio": (f"{_HEAD}, duration_ms, lane, planned", _audio),
    "job_state": (f"{_HEAD}, status, stage, failure->>'code'", _state),
    "job_chunk": (f"{_HEAD}, chunk, round, start_ms, end_ms, text, jsonb_array_length(failed)", _chunk),
    "job_retry": (f"{_HEAD}, round, planned", _retry),
    "job_completion": (f"{_HEAD}, round, duration_ms, language, jsonb_array_length(gaps)", _completion),
    "job_touch": (_HEAD, _touch),
    "job_erasure": (_HEAD, _erasure),
    "history": (f"{_HEAD}, kind, actor, cause_id, event_id, code", _history),
    "history_erasure": (_HEAD, _erasure),
    "transcript_job": (f"{_HEAD}, created_at, file_name", _transcript_job),
    "transcript_segment": (
        f"{_HEAD}, segment_id, removed, start_ms, end_ms, speaker_id, language, text,"
        " (SELECT coalesce(json_agg(w->>'text'), '[]') FROM json_array_elements(words) AS w)",
        _segment,
    ),
    "transcript_speaker": (f"{_HEAD}, speaker_id, label, speech_ms", _speaker),
    "transcript_speaker_name": (f"{_HEAD}, speaker_id, name", _name),
    "transcript_speaker_merge": (f"{_HEAD}, speaker_id, into_speaker_id", _merge),
    "transcript_erasure": (_HEAD, _erasure),
}
