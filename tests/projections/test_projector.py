"""The projector as a process, on real Kafka, PostgreSQL and OpenSearch."""

import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import psycopg
import pytest

from local.stack import Stack
from local.workspace import fresh_workspace
from projections.history.queries import OUTCOME_CHANNEL
from runtime.settings import Settings
from schemas import records
from schemas.identity import fact_key, nudge_key, partition_for
from schemas.values import Segment
from tests.deadline import until
from tests.e2e.processes import Processes
from tests.projections.facts import Job, conversation, job_id, segment
from tests.projections.log import Log, count, documents, indexed, views

PATIENCE_S = 120.0
KILLS = 6
ProjectorOf = Callable[[Mapping[str, str]], Processes]


@pytest.fixture
def other_database(stack: Stack, workspace: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """The same topics, with views of their own."""
    with fresh_workspace(stack.shared_settings()) as other:
        names = ("PALIMPSEST_POSTGRES_DSN", "PALIMPSEST_INDEX_PREFIX")
        yield {**workspace, **{name: other[name] for name in names}}


def corrected(number: int) -> Job:
    """A conversation that was corrected in every way."""
    job = conversation(number)
    job.fact(records.SpeakerNamed, speaker_id="spk1", name="Ada")
    job.fact(
        records.SegmentsRevised,
        removed=("s5-3",),
        segments=(segment("s5-1", "The slow brown fox"),),
        note="heard again",
    )
    job.fact(records.SpeakersMerged, speaker_id="spk2", into_speaker_id="spk1")
    job.refused()
    return job


def test_facts_become_views_and_documents(log: Log, settings: Settings, processes: Processes) -> None:
    job = corrected(1)
    log.write(job.facts)
    processes.start("projector")
    until(lambda: indexed(settings.postgres_dsn, 3), PATIENCE_S, "everything is indexed")
    found = documents(settings)
    assert {key: (body["text"], body["speaker"]) for key, body in found.items()} == {
        f"{job.job_id}/s5-1": ("The slow brown fox", "Ada"),
        f"{job.job_id}/s5-2": ("jumps over the lazy dog.", "Ada"),
    }
    assert count(settings.postgres_dsn, "SELECT count(*) FROM history") == len(job.facts)


def test_fresh_views_equal_the_live_ones(
    log: Log, settings: Settings, processes: Processes, other_database: Mapping[str, str], projector_of: ProjectorOf
) -> None:
    processes.start("projector")
    forgotten = conversation(3)
    for job in (corrected(1), corrected(2), forgotten):
        for fact in job.facts:  # one by one, so that the live projector sees many states
            log.write([fact])
    until(lambda: indexed(settings.postgres_dsn, 9), PATIENCE_S, "the third job is indexed")
    for seq in range(1, forgotten.next_seq):
        log.write_bytes(forgotten.job_id, fact_key(forgotten.job_id, seq), None)
    forgotten.erased()
    log.write(forgotten.facts[-1:])
    until(
        lambda: count(settings.postgres_dsn, "SELECT count(*) FROM job_erasure") == 1, PATIENCE_S, "the job is erased"
    )
    until(lambda: indexed(settings.postgres_dsn, 6), PATIENCE_S, "the erasure is indexed")
    processes.stop()

    fresh = projector_of(other_database)
    fresh.start("projector")
    rebuilt = Settings.read(other_database)
    until(lambda: views(rebuilt.postgres_dsn) == views(settings.postgres_dsn), PATIENCE_S, "the views are equal")
    until(lambda: indexed(rebuilt.postgres_dsn, 6), PATIENCE_S, "everything is indexed")
    fresh.stop()
    assert documents(rebuilt) == documents(settings)
    assert len(documents(settings)) == 4
    assert count(settings.postgres_dsn, "SELECT count(*) FROM transcript_segment") == 6


def test_a_kill_at_any_instant_loses_and_doubles_nothing(log: Log, settings: Settings, processes: Processes) -> None:
    jobs = [_long(number) for number in range(1, 61)]
    segments = sum(
        len(fact.segments) for job in jobs for fact in job.facts if isinstance(fact, records.SegmentsPublished)
    )
    dsn = settings.postgres_dsn
    writer = threading.Thread(target=log.write, args=([fact for job in jobs for fact in job.facts],))
    writer.start()
    processes.start("projector")
    for kill in range(1, KILLS + 1):
        until(partial(_shows, dsn, segments * kill // (KILLS + 2)), PATIENCE_S, f"time for kill {kill}")
        processes.kill_and_restart("projector")
    writer.join()
    until(lambda: indexed(dsn, segments), PATIENCE_S, "everything is indexed")
    assert count(dsn, "SELECT count(*) FROM transcript_segment") == segments
    assert count(dsn, "SELECT count(*) FROM history") == sum(len(job.facts) for job in jobs)
    found = documents(settings)
    assert len(found) == segments
    assert {body["speaker"] for body in found.values()} == {"Grace"}


def _shows(dsn: str, segments: int) -> bool:
    return count(dsn, "SELECT count(*) FROM transcript_segment") >= segments


def _long(number: int) -> Job:
    job = Job(number)
    job.accepted()
    for _ in range(3):
        job.published([_said(f"s{job.next_seq}-{n}", f"part {n} of {number}", n * 1_000) for n in range(1, 21)])
    job.completed()
    job.fact(records.SpeakerNamed, speaker_id="spk1", name="Grace")
    return job


def _said(segment_id: str, text: str, start_ms: int) -> Segment:
    return segment(segment_id, text, start_ms)


def test_views_go_on_while_the_search_engine_is_away(
    log: Log, settings: Settings, workspace: Mapping[str, str], projector_of: ProjectorOf, processes: Processes
) -> None:
    log.write(conversation(1).facts)
    away = {**workspace, "PALIMPSEST_OPENSEARCH_URL": "http://127.0.0.1:9"}
    blind = projector_of(away)
    blind.start("projector")
    dsn = settings.postgres_dsn
    until(lambda: count(dsn, "SELECT count(*) FROM search_pending") == 3, PATIENCE_S, "the first job waits")
    log.write(conversation(2).facts)
    until(lambda: count(dsn, "SELECT count(*) FROM search_pending") == 6, PATIENCE_S, "the second job waits")
    blind.stop()
    assert documents(settings) == {}
    processes.start("projector")
    until(lambda: len(documents(settings)) == 6, PATIENCE_S, "both jobs are found")


def test_a_record_that_cannot_be_read_stops_only_its_partition(
    log: Log, settings: Settings, processes: Processes
) -> None:
    here, there = _neighbours(settings.kafka.partitions)
    broken, other, late = conversation(here), conversation(there), conversation(here + 1_000)
    while _partition(late.job_id, settings) != _partition(broken.job_id, settings):
        late = conversation(int(late.job_id[-4:], 16) + 1)
    log.write(broken.facts)
    log.write_bytes(broken.job_id, b"junk", b"\x00\x00\x00\x00\x01junk")
    log.write(late.facts)
    processes.start("projector")
    dsn = settings.postgres_dsn
    until(lambda: indexed(dsn, 3), PATIENCE_S, "what came before it is in the views")
    log.write(other.facts)
    until(lambda: indexed(dsn, 6), PATIENCE_S, "the other partition goes on")
    with psycopg.connect(dsn) as conn:
        known = {row[0] for row in conn.execute("SELECT job_id FROM job_request")}
    assert known == {broken.job_id, other.job_id}


def _neighbours(partitions: int) -> tuple[int, int]:
    """Numbers of two jobs in different partitions."""
    first = partition_for(job_id(1).encode(), partitions)
    return 1, next(n for n in range(2, 100) if partition_for(job_id(n).encode(), partitions) != first)


def _partition(job: str, settings: Settings) -> int:
    return partition_for(job.encode(), settings.kafka.partitions)


def test_tombstones_and_nudges_say_nothing(log: Log, settings: Settings, processes: Processes) -> None:
    job = conversation(1)
    log.write_bytes(job.job_id, nudge_key(0), None)
    log.write(job.facts)
    log.write_bytes(job.job_id, fact_key(job.job_id, 1), None)
    processes.start("projector")
    until(lambda: indexed(settings.postgres_dsn, 3), PATIENCE_S, "the job is in the views")


def test_each_cause_is_announced_with_its_outcome(log: Log, settings: Settings, processes: Processes) -> None:
    job = Job(1)
    job.accepted()
    job.refused(cause_id="the-request")
    with psycopg.connect(settings.postgres_dsn, autocommit=True) as conn:
        conn.execute(f"LISTEN {OUTCOME_CHANNEL}".encode())
        log.write(job.facts)
        processes.start("projector")
        heard = [notice.payload for notice in conn.notifies(timeout=PATIENCE_S, stop_after=2)]
    assert heard == [job.facts[0].cause_id, "the-request"]
