"""The assembler after its database was lost: everything comes back from the log, and no number is given twice."""

from functools import partial

import pytest

from runtime.kafka import EventProducer
from runtime.postgres import Connection
from runtime.topic_reader import end_offsets
from schemas import records
from schemas.topics import TRANSCRIPTS
from schemas.values import TranscriptionOptions
from streams.assembler.job import fold
from streams.assembler.recovery import Relearning, relearn
from streams.assembler.store import Store
from streams.assembler.workshop import Workshop
from tests.deadline import until
from tests.streams.assembler.given import Inputs
from tests.streams.assembler.member import Member
from tests.streams.assembler.running import Bus

TIMEOUT_S = 60.0
WORDS_ONLY = TranscriptionOptions(diarize=False)
TABLES = ("jobs", "chunks", "applied", "results", "parked", "outbox", "log", "recovered", "claims")


def keep_copy(conn: Connection) -> None:
    """A backup of all that the assembler knows."""
    conn.execute("DROP SCHEMA IF EXISTS copy CASCADE")
    conn.execute("CREATE SCHEMA copy")
    for name in TABLES:
        conn.execute(f"CREATE TABLE copy.assembler_{name} AS TABLE assembler_{name}".encode())


def lose(conn: Connection, *, restore: bool) -> None:
    """The database is gone; the backup takes its place, or nothing."""
    for name in TABLES:
        conn.execute(f"TRUNCATE assembler_{name}".encode())
        if restore:
            conn.execute(f"INSERT INTO assembler_{name} SELECT * FROM copy.assembler_{name}".encode())


def whole(job: Inputs) -> list[records.Record]:
    """Everything a job without speakers gets until it can be assembled."""
    return [job.upload(WORDS_ONLY), job.prepared(), job.transcribed(0), job.transcribed(1)]


def completed(member: Member, conn: Connection, job: Inputs) -> list[records.TranscriptRecord]:
    """The job's facts when its transcript is there."""

    def probe() -> list[records.TranscriptRecord] | None:
        member.handler.tick(conn)
        facts = member.bus.facts()[job.job_id]
        return facts if any(isinstance(fact, records.TranscriptCompleted) for fact in facts) else None

    return until(probe, TIMEOUT_S, "the transcript is complete")


def check(facts: list[records.TranscriptRecord]) -> None:
    """Numbered 1..n, each fact with an id of its own, no chunk complete twice."""
    assert [fact.seq for fact in facts] == list(range(1, len(facts) + 1))
    assert len({fact.event_id for fact in facts}) == len(facts)
    chunks = [(fact.index, fact.round) for fact in facts if isinstance(fact, records.ChunkCompleted)]
    assert len(set(chunks)) == len(chunks)


@pytest.mark.parametrize("restore", [False, True], ids=["nothing", "older copy"])
def test_an_open_job_ends_after_the_loss(bus: Bus, conn: Connection, workshop: Workshop, restore: bool) -> None:
    job = Inputs(f"open {restore}")
    inputs = whole(job)
    member = Member(bus, conn, workshop)
    member.give(job, *inputs[:1])
    keep_copy(conn)
    assert len(member.give(job, *inputs[1:3])) == 3
    lose(conn, restore=restore)
    again = Member(bus, conn, workshop)
    again.give(job, *inputs)
    facts = completed(again, conn, job)
    check(facts)
    published = [fact for fact in facts if isinstance(fact, records.SegmentsPublished)]
    assert sum(len(fact.segments) for fact in published) == 2


@pytest.mark.parametrize("restore", [False, True], ids=["nothing", "older copy"])
def test_inputs_that_come_again_change_nothing(bus: Bus, conn: Connection, workshop: Workshop, restore: bool) -> None:
    job = Inputs(f"ended {restore}")
    member = Member(bus, conn, workshop)
    keep_copy(conn)
    inputs = whole(job)
    member.give(job, *inputs)
    completed(member, conn, job)
    requests: list[records.Record] = [job.feedback(), job.retried()]
    facts = member.give(job, *requests)
    assert isinstance(facts[-1], records.RequestRefused)
    lose(conn, restore=restore)
    again = Member(bus, conn, workshop)
    assert again.give(job, *inputs, *requests) == facts
    facts = again.give(job, job.retried(2))
    assert isinstance(facts[-1], records.RequestRefused)
    check(facts)


def test_a_transcript_that_was_published_by_half_is_published_again(
    bus: Bus, conn: Connection, workshop: Workshop
) -> None:
    job = Inputs("half")
    inputs = whole(job)
    member = Member(bus, conn, workshop)
    member.give(job, *inputs)
    member.handler._publish = lambda conn, slots: None  # type: ignore[method-assign]

    def waiting() -> list[bytes | None]:
        member.handler.tick(conn)
        return [slot.out.value for p in (0, 1) for slot in Store().outbox(conn, p) if slot.job_id == job.job_id]

    until(lambda: len(waiting()) >= 2, TIMEOUT_S, "the transcript is committed and not published")
    slots = [slot for p in (0, 1) for slot in Store().outbox(conn, p) if slot.job_id == job.job_id]
    producer = EventProducer(bus.settings.kafka)
    producer.send(slots[0].out)
    producer.flush()
    lose(conn, restore=False)
    again = Member(bus, conn, workshop)
    again.give(job, *inputs)
    facts = completed(again, conn, job)
    check(facts)
    state = fold(facts)
    assert state is not None and len(state.segments) == 2
    assert {mark.revision for mark in state.segments.values()} == {
        fact.seq for fact in facts[-2:] if isinstance(fact, records.SegmentsPublished)
    }


def test_a_log_that_lost_its_end_is_read_from_the_first_record(bus: Bus, conn: Connection, workshop: Workshop) -> None:
    job = Inputs("shortened")
    inputs = whole(job)
    member = Member(bus, conn, workshop)
    member.give(job, *inputs[:1])
    keep_copy(conn)
    conn.execute("UPDATE copy.assembler_log SET next_offset = next_offset + 1000")  # of the log as it was then
    assert len(member.give(job, *inputs[1:3])) == 3
    lose(conn, restore=True)
    again = Member(bus, conn, workshop)
    ends = end_offsets(bus.settings.kafka, TRANSCRIPTS)
    assert Store().log_places(conn) == ends
    again.give(job, *inputs)
    check(completed(again, conn, job))
    assert Store().log_places(conn) == end_offsets(bus.settings.kafka, TRANSCRIPTS)


def test_an_erased_job_stays_erased(bus: Bus, conn: Connection, workshop: Workshop) -> None:
    job = Inputs("forgotten")
    upload = job.upload(WORDS_ONLY)
    member = Member(bus, conn, workshop)
    member.give(job, upload, job.prepared(), job.erased())
    before = [(r.key, r.value) for r in bus.raw(TRANSCRIPTS)]
    lose(conn, restore=False)
    again = Member(bus, conn, workshop)
    again.give(job, upload, job.prepared(), job.transcribed(0), job.erased())
    assert [(r.key, r.value) for r in bus.raw(TRANSCRIPTS)] == before


def test_a_retry_whose_work_was_lost_is_sent_again(bus: Bus, conn: Connection, workshop: Workshop) -> None:
    job = Inputs("retried", chunks=1)
    inputs: list[records.Record] = [job.upload(WORDS_ONLY), job.prepared(), job.failed(0), job.retried()]
    facts = Member(bus, conn, workshop).give(job, *inputs)
    assert isinstance(facts[-1], records.JobRetried)
    lose(conn, restore=False)
    before = len(lane(bus))
    again = Member(bus, conn, workshop)
    assert len(lane(bus)) == before + 1
    again.give(job, *inputs, job.transcribed(0, round_=1))
    check(completed(again, conn, job))


def lane(bus: Bus) -> list[bytes | None]:
    return [record.value for record in bus.raw("chunks.interactive")]


def test_facts_in_any_order_with_repeats_give_the_same_state(bus: Bus, conn: Connection, workshop: Workshop) -> None:
    job = Inputs("mixed")
    member = Member(bus, conn, workshop)
    member.give(job, *whole(job))
    facts = completed(member, conn, job)
    straight = None
    for fact in facts:
        straight = relearn(straight, fact)
    learned = Relearning()
    for offset, fact in enumerate([*facts[3:], *facts[:4], *facts[1:3]]):
        learned.take(offset, fact)
    *_, (state, last) = learned.fold({}, final=True)
    assert (state, last) == (straight, facts[-1])
    assert learned.place(99) == 99
    learned.take(7, facts[2])
    assert list(learned.fold({}, final=False)) == [] and learned.place(99) == 7
    assert state.segments == partial(fold, facts)().segments  # type: ignore[union-attr]
