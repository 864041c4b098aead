"""The transaction, the outbox and what a crash leaves, against a real database and broker."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from psycopg.errors import UniqueViolation

from runtime.errors import Fenced
from runtime.kafka import Incoming, Outgoing
from runtime.postgres import Connection
from schemas import records
from schemas.identity import partition_for
from schemas.topics import DEAD_LETTERS, TRANSCRIPTS, UPLOADS, lane_topic
from schemas.values import Task
from streams.assembler.assembly import task_of
from streams.assembler.attempts import MAX_ATTEMPTS
from streams.assembler.child import Bench, Hopeless
from streams.assembler.decide import Input
from streams.assembler.decide import decide as real_decide
from streams.assembler.state import Change, State
from streams.assembler.store import Parked, Slot, Store
from streams.assembler.workshop import Workshop
from tests.streams.assembler.given import Inputs
from tests.streams.assembler.member import Member
from tests.streams.assembler.running import Bus


def test_what_was_committed_is_published_after_a_crash(bus: Bus, conn: Connection, workshop: Workshop) -> None:
    job = Inputs("crash")
    Member(bus, conn, workshop).commit(job, job.upload(), job.prepared())
    assert bus.facts()[job.job_id] == []
    left = [(s.out.key, s.out.value) for p in (0, 1) for s in Store().outbox(conn, p) if s.job_id == job.job_id]
    assert len(left) == 2
    again = Member(bus, conn, workshop)
    assert [(r.key, r.value) for r in bus.raw(TRANSCRIPTS) if (r.key or b"").startswith(job.job_id.encode())] == left
    assert again.give(job, job.upload(), job.prepared()) == bus.facts()[job.job_id]
    assert [fact.seq for fact in bus.facts()[job.job_id]] == [1, 2]


class Ended(BaseException):
    """As if the process ended here: nothing that runs after an error runs."""


def test_an_input_that_ends_the_process_is_found_and_answered(
    bus: Bus, conn: Connection, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, other = Inputs("struck"), Inputs("spared")
    deadly = replace(job.cancelled(), reason="deadly")

    def decide(state: State | None, given: Input) -> list[Change]:
        if isinstance(given, records.CancellationRequested):
            raise Ended
        return real_decide(state, given)

    monkeypatch.setattr("streams.assembler.batch.decide", decide)
    Member(bus, conn, workshop).give(job, job.upload(), other.upload())
    for _ in range(MAX_ATTEMPTS):
        with pytest.raises(Ended):
            Member(bus, conn, workshop).commit(job, job.prepared(), deadly, job.transcribed(0))
    member = Member(bus, conn, workshop)
    facts = member.give(job, job.prepared(), deadly, job.transcribed(0))
    assert [type(fact).__name__ for fact in facts] == ["JobAccepted", "AudioReady", "RequestRefused"]
    assert (facts[-1].cause_id, facts[-1].code) == (deadly.event_id, "internal")  # type: ignore[union-attr]
    [letter] = [r for r in bus.raw(DEAD_LETTERS) if r.key == job.job_id.encode()]
    assert dict(letter.headers)["__dlq.errors.exception"] == b"ProcessEnded"
    assert conn.execute("SELECT count(*) FROM assembler_attempts").fetchone() == (0,)


def test_an_input_that_ends_the_process_when_its_job_comes_is_found_too(
    bus: Bus, conn: Connection, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Inputs("struck late")
    upload, deadly = job.upload(), job.cancelled()

    def decide(state: State | None, given: Input) -> list[Change]:
        if state is not None and isinstance(given, records.CancellationRequested):
            raise Ended
        return real_decide(state, given)

    monkeypatch.setattr("streams.assembler.batch.decide", decide)
    for _ in range(MAX_ATTEMPTS):
        with pytest.raises(Ended):
            Member(bus, conn, workshop).commit(job, deadly, upload)
    facts = Member(bus, conn, workshop).give(job, deadly, upload)
    assert [type(fact).__name__ for fact in facts] == ["JobAccepted", "RequestRefused"]


def test_an_error_that_was_raised_is_no_attempt(bus: Bus, conn: Connection, workshop: Workshop) -> None:
    job, member = Inputs("error"), Member(bus, conn, workshop)
    for _ in range(MAX_ATTEMPTS + 1):
        member.handler._claims = {}
        with pytest.raises(Fenced):
            member.commit(job, job.upload())
        member.handler.close()
    assert Member(bus, conn, workshop).give(job, job.upload())


CRASHING = """
import os, signal, sys
from collections.abc import Mapping
from runtime.postgres import connection
from streams.assembler.workshop import Workshop
from tests.streams.assembler.given import Inputs
from tests.streams.assembler.running import Bus
from tests.streams.assembler.member import Member

if __name__ == "__main__":
    bus = Bus(os.environ)
    with connection(bus.settings.postgres_dsn, autocommit=True) as conn:
        job = Inputs("killed")
        Member(bus, conn, Workshop(bus.settings)).commit(job, job.upload(), job.prepared(), job.cancelled())
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_between_commit_and_publishing_loses_nothing(
    bus: Bus, module_workspace: Mapping[str, str], conn: Connection, workshop: Workshop
) -> None:
    died = subprocess.run([sys.executable, "-c", CRASHING], env={**os.environ, **module_workspace}, check=False)
    assert died.returncode == -signal.SIGKILL
    job = Inputs("killed")
    assert bus.facts()[job.job_id] == []
    Member(bus, conn, workshop)
    kinds = [type(fact).__name__ for fact in bus.facts()[job.job_id]]
    assert kinds == ["JobAccepted", "AudioReady", "JobCancelled"]


def test_an_input_counts_once_unless_it_is_redriven(bus: Bus, conn: Connection, workshop: Workshop) -> None:
    job = Inputs("twice")
    member = Member(bus, conn, workshop)
    member.give(job, job.upload(), job.upload(), job.cancelled())
    assert len(member.give(job, job.cancelled())) == 2
    facts = member.give(job, job.cancelled(), redrive=1)
    assert [type(fact).__name__ for fact in facts] == ["JobAccepted", "JobCancelled", "RequestRefused"]


def test_results_of_two_cuts_have_one_id_and_are_told_apart(bus: Bus, conn: Connection, workshop: Workshop) -> None:
    """The chunker ended in the middle of an upload, and the next one cut it elsewhere."""
    old, new = Inputs("cut twice", chunks=1, cut="old"), Inputs("cut twice", chunks=1, cut="new")
    of_old: list[records.Record] = [old.transcribed(0, words="Of the old cut."), old.failed(0, Task.DIARIZATION)]
    of_new: list[records.Record] = [new.transcribed(0, words="Of the new cut."), new.failed(0, Task.DIARIZATION)]
    assert [r.event_id for r in of_old] == [r.event_id for r in of_new]
    member = Member(bus, conn, workshop)
    member.give(new, new.upload(), *of_old, *of_new, *of_old)
    *_, completed = facts = member.give(new, new.prepared(), *of_new)
    assert [type(fact).__name__ for fact in facts] == ["JobAccepted", "AudioReady", "ChunkCompleted"]
    assert isinstance(completed, records.ChunkCompleted) and completed.text == "Of the new cut."


def test_inputs_of_an_unknown_job_wait_for_it(bus: Bus, conn: Connection, workshop: Workshop) -> None:
    job = Inputs("early", chunks=1)
    member = Member(bus, conn, workshop)
    assert member.give(job, job.transcribed(0)) == []
    facts = member.give(job, job.diarized(0), job.upload(), job.prepared())
    assert [type(fact).__name__ for fact in facts] == ["JobAccepted", "AudioReady", "ChunkCompleted"]


def test_where_the_log_lost_its_end_the_new_record_of_a_place_waits(conn: Connection) -> None:
    old, new = (
        Parked(
            job_id=f"parked {value!r}",
            incoming=Incoming(
                topic=UPLOADS, partition=0, offset=900_007, key=b"k", value=value, headers=(), timestamp_ms=1
            ),
        )
        for value in (b"lost", b"new")
    )
    for _ in range(2):
        Store().park(conn, [old])
    Store().park(conn, [new])
    assert Store().unpark(conn, old.job_id) == []
    assert [incoming.value for incoming in Store().unpark(conn, new.job_id)] == [b"new"]


def test_a_zombie_is_fenced_and_changes_nothing(bus: Bus, conn: Connection, workshop: Workshop) -> None:
    job = Inputs("zombie")
    zombie = Member(bus, conn, workshop)
    zombie.give(job, job.upload())
    owner = Member(bus, conn, workshop)
    with pytest.raises(Fenced):
        zombie.commit(job, job.cancelled())
    assert len(owner.give(job, job.prepared())) == 2


def test_two_facts_cannot_share_a_number(conn: Connection) -> None:
    out = Outgoing(topic=TRANSCRIPTS, partition=0, key=b"k", value=b"v")
    slot = Slot(job_id="twins", seq=1, ordinal=0, partition=0, out=out)
    Store().put_out(conn, [slot])
    with pytest.raises(UniqueViolation):
        Store().put_out(conn, [slot])
    Store().sent(conn, [slot])


def test_erasure_overwrites_every_fact_and_says_so_last(bus: Bus, conn: Connection, workshop: Workshop) -> None:
    job = Inputs("erased", chunks=1)
    member = Member(bus, conn, workshop)
    member.give(job, job.upload(), job.prepared())
    member.commit(job, job.transcribed(0), job.diarized(0), job.erased())
    member.handler.committed(conn, 0)
    mine = [r for r in bus.raw(TRANSCRIPTS) if (r.key or b"").startswith(job.job_id.encode())]
    last = {r.key: r.value for r in mine}
    assert [r.value is None for r in mine] == [False, False, True, True, True, False]
    assert [key for key, value in last.items() if value is not None] == [f"{job.job_id}/4".encode()]
    assert Store().results(conn, job.job_id) == []
    assert member.give(job, job.upload(), job.transcribed(0), job.cancelled())[-1].seq == 4


def test_what_cannot_be_read_goes_to_the_dead_letters(bus: Bus, conn: Connection, workshop: Workshop) -> None:
    member = Member(bus, conn, workshop)
    bad = Incoming(topic=UPLOADS, partition=0, offset=7, key=b"k", value=b"junk", headers=(), timestamp_ms=1)
    job = Inputs("foreign")
    stranger = Inputs("foreign", tenant_id="thief").cancelled()
    with conn.transaction():
        member.handler.apply(conn, 0, [bad])
    member.give(job, job.upload(), stranger)
    ours = [r for r in bus.raw(DEAD_LETTERS) if r.key in (b"k", job.job_id.encode())]
    causes = {value for r in ours for name, value in r.headers if name == "__dlq.errors.exception"}
    assert causes == {b"UndecodableRecord", b"TenantMismatch"}


def test_one_job_cannot_fill_the_parking(conn: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.assembler.store.PARKED_PER_JOB", 2)
    waiting = [Parked(job_id=job_id, incoming=_unknown(n)) for n, job_id in enumerate(("a", "a", "b", "a", "a"))]
    with conn.transaction(force_rollback=True):
        assert Store().park(conn, waiting[:1]) == []
        assert Store().park(conn, waiting[1:]) == waiting[3:]
        assert Store().parked(conn, [0]) == 3


def _unknown(offset: int) -> Incoming:
    return Incoming(topic=UPLOADS, partition=0, offset=offset, key=b"k", value=b"v", headers=(), timestamp_ms=1)


def test_parked_inputs_expire(bus: Bus, conn: Connection, workshop: Workshop) -> None:
    job = Inputs("never")
    member = Member(bus, conn, workshop)
    member.give(job, job.cancelled())
    partition = partition_for(job.job_id.encode(), bus.settings.kafka.partitions)
    assert Store().expired(conn, partition, 3_600) == []
    assert [r.topic for r in Store().expired(conn, partition, 0)] == ["controls"]


def test_a_retry_sends_work_again(bus: Bus, conn: Connection, workshop: Workshop) -> None:
    job = Inputs("again", chunks=1)
    member = Member(bus, conn, workshop)
    member.give(job, job.upload(), job.prepared(), job.failed(0), job.diarized(0), job.retried())
    work = [bus.codec.decode(r.value or b"") for r in bus.raw(lane_topic("interactive"))]
    mine = [w for w in work if isinstance(w, records.ChunkCut) and w.job_id == job.job_id]
    assert [(w.index, w.round, [t.value for t in w.tasks]) for w in mine] == [(0, 1, ["asr"])]


def test_open_assemblies_are_taken_up_again(bus: Bus, conn: Connection, workshop: Workshop) -> None:
    job = Inputs("taken-up", chunks=1)
    Member(bus, conn, workshop).commit(job, job.upload(), job.prepared(), job.transcribed(0), job.diarized(0))
    member = Member(bus, conn, workshop)
    wait = threading.Event()
    facts: Sequence[records.TranscriptRecord] = []
    for _ in range(400):
        member.handler.tick(conn)
        facts = bus.facts()[job.job_id]
        if isinstance(facts[-1], records.TranscriptCompleted):
            break
        wait.wait(0.05)
    done = facts[-1]
    assert isinstance(done, records.TranscriptCompleted)
    assert [warning.code for warning in done.warnings] == ["evidence_missing"]


def test_no_transcript_leaves_out_words_whose_results_are_gone(bus: Bus, conn: Connection, workshop: Workshop) -> None:
    job = Inputs("pruned", chunks=1)
    Member(bus, conn, workshop).commit(job, job.upload(), job.prepared(), job.transcribed(0), job.diarized(0))
    Store().forget_results(conn, [job.job_id])
    task = task_of(Store().lock(conn, [job.job_id])[job.job_id], 0)
    assert task is not None
    outcome = Bench(bus.settings).run(task)
    assert isinstance(outcome, Hopeless) and "no longer stored" in outcome.message
