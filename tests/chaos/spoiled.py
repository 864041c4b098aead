"""The checker on what is stored: it finds nothing after a calm run, and each single thing that is spoiled after it.

The run is small and made by the clients of a chaos run on the shared engines; what a test spoils it mends again.
Not collected by itself, because it takes a minute: `make chaos-guards` runs it.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import psycopg
import pytest

from local.stack import Stack
from local.workspace import fresh_workspace
from tests.chaos.checker import answers, objects, search, views
from tests.chaos.checker.evidence import Evidence, gather
from tests.chaos.checker.verdict import check
from tests.chaos.checker.violation import Violation
from tests.chaos.load import Load
from tests.chaos.plan import Script, Upload
from tests.chaos.told import Notebook
from tests.chaos.world import SETTINGS, engine_addresses
from tests.deadline import until
from tests.e2e.conftest import running_pipeline

SEED = 1
SCRIPTS = (Script.NAME, Script.DELETE, Script.CORRECT, Script.FAIL_AND_RETRY, Script.RUBBISH, Script.PLAIN)
TENANTS = ("court", "court", "court", "court", "clinic", "clinic")
REST_TIMEOUT_S = 120.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def evidence(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evidence]:
    """A run without faults, in which the checker finds nothing, and whose processes still answer."""
    folder, logs = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("logs")
    with (
        fresh_workspace(stack.shared_settings()) as workspace,
        running_pipeline({**workspace, **SETTINGS}, logs) as pipeline,
    ):
        keys = {tenant: pipeline.new_key(tenant) for tenant in set(TENANTS)}
        world = {"logs": str(logs), "api": pipeline.processes.api_url, "keys": keys, "canaries": [*keys.values()]}
        (folder / "world.json").write_text(json.dumps({**engine_addresses(workspace), **world}))
        notebook = Notebook(folder)
        load = Load(pipeline.processes.api_url, keys, SEED, notebook)
        load.run(tuple(_uploads()), time.monotonic())
        load.close()
        notebook.close()
        assert (load.errors, load.broken) == ([], [])
        until(lambda: not check(folder), REST_TIMEOUT_S, "the checker finds nothing")
        yield gather(folder)


def _uploads() -> Iterator[Upload]:
    for number, (tenant, script) in enumerate(zip(TENANTS, SCRIPTS, strict=True)):
        said = {"tenant": tenant, "script": script, "duration_s": 6.0 + number}
        yield Upload(number=number, at_s=0.0, diarize=True, patience_s=0.0, **said)  # type: ignore[arg-type]


def _found(violations: Iterator[Violation]) -> set[tuple[str, str]]:
    return {(violation.invariant, violation.subject) for violation in violations}


def _job(evidence: Evidence, script: Script) -> str:
    return str(next(told["job_id"] for told in evidence.told if told["script"] == script))


@contextmanager
def _changed(evidence: Evidence, table: str, change: str) -> Iterator[None]:
    """A table with something changed; as it was afterwards."""
    with psycopg.connect(evidence.world["postgres"], autocommit=True) as conn:
        conn.execute(f"CREATE TEMP TABLE kept AS SELECT * FROM {table}".encode())
        try:
            assert conn.execute(change.encode()).rowcount == 1
            yield
        finally:
            conn.execute(f"DELETE FROM {table}".encode())
            conn.execute(f"INSERT INTO {table} SELECT * FROM kept".encode())


def _one(table: str) -> str:
    return f"ctid = (SELECT min(ctid) FROM {table})"


@pytest.mark.parametrize("table", views.VIEWS)
def test_a_row_that_is_missing_is_found(evidence: Evidence, table: str) -> None:
    with _changed(evidence, table, f"DELETE FROM {table} WHERE {_one(table)}"):
        assert _found(views.violations(evidence)) == {("I15", table)}
    assert _found(views.violations(evidence)) == set()


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("job_state", "status = 'queued'"),
        ("job_request", "tenant_id = 'another'"),
        ("job_chunk", "text = 'another'"),
        ("history", "kind = 'Another'"),
        ("transcript_segment", "text = 'another'"),
        ("transcript_segment", "words = '[]'"),
        ("transcript_speaker_name", "name = 'another'"),
        ("transcript_speaker_merge", "into_speaker_id = 'another'"),
    ],
)
def test_a_row_that_says_something_else_is_found(evidence: Evidence, table: str, change: str) -> None:
    with _changed(evidence, table, f"UPDATE {table} SET {change} WHERE {_one(table)}"):
        assert _found(views.violations(evidence)) == {("I15", table)}


@pytest.mark.parametrize(
    ("table", "change", "invariant"),
    [
        ("job_state", "status = 'failed'", "I15"),
        ("transcript_segment", "text = 'another'", "I15"),
        ("job_erasure", "tenant_id = 'another'", "I15"),
        ("history", "kind = 'JobFailed'", "I23"),
    ],
)
def test_an_answer_that_says_something_else_is_found(
    evidence: Evidence, table: str, change: str, invariant: str
) -> None:
    job_id = _job(evidence, Script.DELETE if table == "job_erasure" else Script.CORRECT)
    last = f"(SELECT max(ctid) FROM {table} WHERE job_id = '{job_id}')"
    with _changed(evidence, table, f"UPDATE {table} SET {change} WHERE ctid = {last}"):
        assert (invariant, job_id) in _found(answers.violations(evidence))


def test_an_answer_to_a_stranger_is_found(evidence: Evidence) -> None:
    keys = evidence.world["keys"]
    mixed = replace(evidence, world={**evidence.world, "keys": {"clinic": keys["court"], "court": keys["court"]}})
    found = {violation.invariant for violation in answers.violations(mixed)}
    assert "I27" in found


@contextmanager
def _document(evidence: Evidence, spoil: Callable[[httpx.Client, str, dict[str, Any]], object]) -> Iterator[str]:
    """A document of the index after something was done to it; as it was afterwards."""
    index = evidence.world["index_prefix"] + search.ALIAS
    name, source = min(search._indexed(evidence.world["opensearch"], index).items())
    path = f"/{index}/_doc/{name.replace('/', '%2F')}"
    with httpx.Client(base_url=evidence.world["opensearch"], timeout=60, trust_env=False) as http:
        routing = http.post(f"/{index}/_search", json={"query": {"ids": {"values": [name]}}}).json()
        hit = routing["hits"]["hits"][0]
        path += f"?routing={hit['_routing']}" if "_routing" in hit else ""
        try:
            spoil(http, path, source)
            yield name
        finally:
            http.put(path, json=source).raise_for_status()


def test_a_document_that_is_missing_is_found(evidence: Evidence) -> None:
    with _document(evidence, lambda http, path, _: http.delete(path).raise_for_status()) as name:
        assert _found(search.violations(evidence)) == {("I16", name)}
    assert _found(search.violations(evidence)) == set()


@pytest.mark.parametrize("field", ["text", "tenant_id", "speaker"])
def test_a_document_that_says_something_else_is_found(evidence: Evidence, field: str) -> None:
    with _document(evidence, lambda http, path, body: http.put(path, json={**body, field: "another"})) as name:
        [found] = search.violations(evidence)
    assert (found.subject, found.text) == (name, f"is indexed with another {field}")


def test_a_document_of_nothing_is_found(evidence: Evidence) -> None:
    """To the log of all jobs but one, the documents of that one are orphans."""
    one = _job(evidence, Script.PLAIN)
    others = {job_id: job for job_id, job in evidence.jobs.items() if job_id != one}
    found = [*search.violations(replace(evidence, jobs=others))]
    assert found and all(v.subject.startswith(one) and "orphan" in v.text for v in found)


@contextmanager
def _object(evidence: Evidence, key: str, body: bytes | None) -> Iterator[None]:
    """An object with other bytes, or none; as it was afterwards."""
    store, bucket = objects._store(evidence.world), evidence.world["bucket"]
    before = store.get_object(Bucket=bucket, Key=key)["Body"].read() if key in objects._keys(store, bucket) else None

    def put(data: bytes | None) -> None:
        if data is None:
            store.delete_object(Bucket=bucket, Key=key)
        else:
            store.put_object(Bucket=bucket, Key=key, Body=data)

    put(body)
    try:
        yield
    finally:
        put(before)


@pytest.mark.parametrize(
    ("script", "key", "body", "text"),
    [
        (Script.PLAIN, "", None, "is not there"),
        (Script.PLAIN, "", b"other", "is not what was recorded"),
        (Script.PLAIN, "clinic/{}/chunks/9", b"left", "is left over from a job that is completed"),
        (Script.DELETE, "court/{}/audio", b"left", "is left over from a job that is erased"),
        (Script.PLAIN, "court/nobody/audio", b"left", "belongs to no job"),
    ],
)
def test_an_object_too_many_too_few_or_other_is_found(
    evidence: Evidence, script: Script, key: str, body: bytes | None, text: str
) -> None:
    job = evidence.jobs[_job(evidence, script)]
    where = key.format(job.job_id) if key else str((job.accepted or {})["audio"]["key"])
    assert _found(objects.violations(evidence)) == set()
    with _object(evidence, where, body):
        [found] = objects.violations(evidence)
    assert found.subject == where and text in found.text
