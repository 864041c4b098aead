"""Erasures on real engines: what is left of a job goes, what comes late goes too, and it is noted what was done."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from boto3 import client as boto_client
from botocore.stub import Stubber

from effects import erasures
from effects.report import report
from effects.sweeps.acceptances import repeat_acceptances
from effects.sweeps.erasures import erase_again, erase_all, erase_recent
from effects.sweeps.rewriting import INDEX, LARGE_TABLES, SMALL_TABLES, rewrite
from effects.world import World
from projections.search.index import ALIAS, index_body
from projections.search.index import INDEX as INDEX_NAME
from projections.search.remains import shown
from runtime.errors import StoreRefuses, Unavailable
from runtime.kafka import outgoing
from runtime.objects import ObjectStore
from runtime.opensearch import Document
from runtime.postgres import borrowed
from runtime.registry import Registry
from runtime.settings import Settings
from schemas.codec import Codec
from schemas.identity import fact_key
from tests.effects.log import messages
from tests.effects.test_sweeps import _KEY, accepted, rows, show, stored
from tests.projections.facts import Job, conversation, job_id


@pytest.fixture
def indexed(world: World) -> World:
    """A world whose index is there."""
    world.search.create_index(INDEX_NAME, index_body(), ALIAS)
    return world


def erased(number: int) -> Job:
    """A job that was erased long ago."""
    job = conversation(number)
    job.erased()
    return job


def last_look(world: World) -> World:
    """The same world where every erasure is settled at once."""
    return replace(world, forgetting=replace(world.forgetting, settle_s=0))


async def test_nothing_of_an_erased_job_is_kept_or_produced(indexed: World, settings: Settings) -> None:
    await accepted(indexed, settings, 1)
    rows(settings, _KEY, job_id(1))
    job, other = erased(1), conversation(2)
    for each in (job, other):
        stored(indexed, each)
        show(settings, each)
    begun = indexed.objects.begin(f"acme/{job.job_id}/audio")
    assert await erase_recent(indexed) == 0  # it happened long ago
    assert await erase_all(indexed) == 1
    assert await erase_all(indexed) == 0
    assert await repeat_acceptances(indexed) == 0
    assert rows(settings, "SELECT 1 FROM accepted_requests") == []
    assert rows(settings, "SELECT answer_status, answer_body, fingerprint FROM idempotency_keys") == [(410, b"", None)]
    assert messages(settings.kafka, "uploads") == []
    assert {key.split("/")[1] for key in indexed.objects.keys("")} == {other.job_id}
    assert [*indexed.objects.open_uploads("")] == [], begun
    found = dict(rows(settings, "SELECT step, amount FROM erasure_steps WHERE job_id = %s", job.job_id))
    assert found == {"objects": 5, "answers": 2, "documents": 0}


async def test_an_upload_that_never_reached_the_log_is_forgotten_too(indexed: World, settings: Settings) -> None:
    await accepted(indexed, settings, 1)
    rows(settings, "UPDATE accepted_requests SET repeats = 99, accepted_at = now() - interval '1 day'")
    job = Job(1)
    job.erased()
    stored(indexed, job)
    show(settings, job)
    assert await erase_all(indexed) == 1
    assert await repeat_acceptances(indexed) == 0
    assert rows(settings, "SELECT 1 FROM accepted_requests") == []
    assert [*indexed.objects.keys("")] == []


async def test_what_comes_late_goes_and_the_tombstones_are_repeated(indexed: World, settings: Settings) -> None:
    job = erased(1)
    show(settings, job)
    await erase_all(indexed)
    assert await erase_again(indexed) == 0  # a moment ago
    stored(indexed, job)
    _late_document(indexed, job)
    rows(settings, "UPDATE erasures SET passed_at = now() - interval '2 minutes'")
    assert await erase_again(indexed) == 1
    assert [*indexed.objects.keys("")] == []
    assert rows(settings, "SELECT segment_id FROM search_pending WHERE segment_id = 's9-9'") == [("s9-9",)]
    assert messages(settings.kafka, "transcripts") == []

    assert await erase_again(last_look(indexed)) == 1
    assert await erase_again(last_look(indexed)) == 0
    found = [(m.key(), m.value()) for m in messages(settings.kafka, "transcripts")]
    assert found == [(fact_key(job.job_id, seq), None) for seq in range(1, job.facts[-1].seq)]


def _late_document(world: World, job: Job) -> None:
    body = {"tenant_id": "acme", "job_id": job.job_id, "segment_id": "s9-9", "deleted": False, "text": "late"}
    late = Document(id=f"{job.job_id}/s9-9", version=1, routing="acme", body=body)
    world.search.write(ALIAS, [late], refresh=True)
    assert shown(world.search, job.job_id, "acme") == ["s9-9"]


async def test_stores_are_rewritten_once_something_was_forgotten(indexed: World, settings: Settings) -> None:
    assert await rewrite(indexed) == 0
    show(settings, erased(1))
    await erase_all(indexed)
    rows(settings, "DELETE FROM search_pending")
    assert await rewrite(indexed) == 3
    assert await rewrite(indexed) == 0  # the index is due again, though not within seconds
    rows(settings, "UPDATE rewrites SET done_at = now() - interval '11 seconds'")
    assert await rewrite(indexed) == 1
    async with borrowed(indexed.connections) as conn:
        done = await erasures.rewrites(conn)
        forgotten = await erasures.last_forgotten(conn)
    assert set(done) == {SMALL_TABLES, LARGE_TABLES, INDEX}
    assert forgotten.rows is not None and done[SMALL_TABLES].through > forgotten.rows
    assert forgotten.documents is not None and forgotten.documents > done[INDEX].through


async def test_the_index_is_clean_only_when_it_was_rewritten_after_its_documents_were(
    indexed: World, settings: Settings
) -> None:
    """The indexer is late: the index was rewritten before the documents of the job were written over."""
    job = erased(1)
    show(settings, job)
    assert rows(settings, "SELECT 1 FROM search_pending WHERE job_id = %s", job.job_id)
    await erase_all(indexed)
    assert await rewrite(indexed) == 2
    rows(
        settings, "INSERT INTO rewrites (store, through, done_at) VALUES (%s, now(), now() - interval '1 hour')", INDEX
    )
    assert "files of the search index" in await _left(settings)
    rows(settings, "DELETE FROM search_pending")
    assert await rewrite(indexed) == 1
    assert "files of the search index" in await _left(settings)  # what was replaced is kept for a while
    rows(settings, "UPDATE rewrites SET through = now()")
    assert "files of the search index" not in await _left(settings)

    _late_document(indexed, job)
    await erase_again(last_look(indexed))
    assert "files of the search index" in await _left(settings)


async def test_a_table_that_is_locked_is_rewritten_later(indexed: World, settings: Settings) -> None:
    show(settings, erased(1))
    await erase_all(indexed)
    rows(settings, "DELETE FROM search_pending")
    async with borrowed(indexed.connections) as conn:
        await conn.execute(b"LOCK TABLE job_request IN ROW EXCLUSIVE MODE")
        assert await rewrite(indexed) == 2  # all but the small tables
    assert await rewrite(indexed) == 1


async def test_the_report_looks_in_every_place(indexed: World, settings: Settings) -> None:
    assert await report(settings, job_id(1)) is None
    job = erased(1)
    show(settings, job)
    rows(settings, "DELETE FROM search_pending")
    stored(indexed, job)
    _late_document(indexed, job)
    codec = Codec(Registry(settings.registry_url))
    for fact in job.facts[:2]:
        out = outgoing(fact, "transcripts", codec, settings.kafka.partitions, "test")
        await indexed.producer.send(out)
    rows(settings, "INSERT INTO transcript_job VALUES (%s, 'acme', 1, 0, 'late.wav')", job.job_id)
    build = "INSERT INTO view_versions (projection, version, state, job_id) VALUES ('search', 9, 'next', %s)"
    rows(settings, build, job.job_id)  # how far it is made: nothing of the job
    assert await _left(settings) == {
        "views, outbox, stored answers": 1,
        "files of small tables": 1,
        "files of large tables": 1,
        "files of the search index": 1,
        "objects": 4,
        "search": 1,
        "transcripts": 2,
    }
    found = await report(settings, job_id(1))
    assert found is not None and found.waiting and found.overdue(datetime.now(UTC))

    rows(settings, "DELETE FROM transcript_job")
    await erase_all(indexed)
    await erase_again(last_look(indexed))
    await rewrite(indexed)
    indexed.search.write(ALIAS, [_empty(job)], refresh=True)
    assert set(await _left(settings)) == {  # no indexer, no compaction
        "views, outbox, stored answers",
        "files of the search index",
        "transcripts",
    }
    rows(settings, "DELETE FROM search_pending")
    await rewrite(indexed)
    rows(settings, "UPDATE rewrites SET through = now()")
    assert await _left(settings) == {"transcripts": 2}


def _empty(job: Job) -> Document:
    body = {"tenant_id": "acme", "job_id": job.job_id, "segment_id": "s9-9", "deleted": True}
    return Document(id=f"{job.job_id}/s9-9", version=2, routing="acme", body=body)


async def _left(settings: Settings) -> dict[str, int]:
    found = await report(settings, job_id(1))
    assert found is not None
    return {place.name: place.left for place in found.places if place.left and not place.by_age}


def test_earlier_versions_and_marks_of_deletion_are_purged(settings: Settings) -> None:
    """Against recorded answers: the store of the tests keeps no versions."""
    store = ObjectStore(settings.objects)
    s3 = boto_client("s3", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    store._client = s3
    bucket = {"Bucket": store.bucket}
    old, mark = {"Key": "a/b/audio", "VersionId": "1"}, {"Key": "a/b/audio", "VersionId": "2"}
    with Stubber(s3) as answers:
        answers.add_response("list_multipart_uploads", {"IsTruncated": False}, {**bucket, "Prefix": "a/b/"})
        answers.add_response("list_objects_v2", {"IsTruncated": False}, {**bucket, "Prefix": "a/b/"})
        answers.add_response("get_bucket_versioning", {"Status": "Enabled"}, bucket)
        answers.add_response(
            "list_object_versions", {"Versions": [old], "DeleteMarkers": [mark]}, {**bucket, "Prefix": "a/b/"}
        )
        answers.add_response("delete_objects", {}, {**bucket, "Delete": {"Objects": [old, mark], "Quiet": True}})
        assert store.purge("a/b/").versions == 2
        answers.assert_no_pending_responses()


@pytest.mark.parametrize(("code", "refused"), [("AccessDenied", True), ("SlowDown", False)])
def test_what_the_store_does_not_let_go_keeps_nothing_else(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, code: str, refused: bool
) -> None:
    monkeypatch.setattr("runtime.objects.DELETE_BATCH", 1)
    store = ObjectStore(settings.objects)
    store._client = boto_client("s3", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(store._client) as answers:
        for key, errors in (("a", [{"Key": "a", "Code": code}]), ("b", [])):
            wanted = {"Bucket": store.bucket, "Delete": {"Objects": [{"Key": key}], "Quiet": True}}
            answers.add_response("delete_objects", {"Errors": errors}, wanted)
        with pytest.raises(Unavailable) as raised:
            store.delete(["a", "b"])
        answers.assert_no_pending_responses()
    assert isinstance(raised.value, StoreRefuses) == refused


def test_what_people_said_is_not_in_the_planner_s_samples(settings: Settings, world: World) -> None:
    for number in range(1, 6):
        show(settings, conversation(number))
    rows(settings, "ANALYZE")
    sampled = {name for (name,) in rows(settings, "SELECT DISTINCT tablename || '.' || attname FROM pg_stats")}
    assert sampled & {f"job_request.{name}" for name in ("job_id", "tenant_id")}
    personal = {"text", "words", "file_name", "name", "options", "message", "label", "record", "value", "answer_body"}
    assert not {name for name in sampled if name.partition(".")[2] in personal and not name.startswith("pg_")}
