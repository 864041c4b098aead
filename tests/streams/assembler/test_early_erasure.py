"""A job may be erased before its upload came, and where it never comes."""

from runtime.postgres import Connection
from schemas import records
from schemas.topics import DEAD_LETTERS
from streams.assembler.decide import decide
from streams.assembler.workshop import Workshop
from tests.streams.assembler.given import Inputs
from tests.streams.assembler.member import Member
from tests.streams.assembler.running import Bus


def test_a_job_whose_upload_never_came_can_be_erased() -> None:
    given = Inputs("unreadable")
    assert decide(None, given.cancelled()) == []
    [fact] = decide(None, given.erased())
    assert isinstance(fact, records.JobErased)
    assert (fact.seq, fact.erased_facts, fact.tenant_id) == (1, 0, given.tenant_id)


def test_what_waited_for_it_is_dropped_and_what_comes_later_too(bus: Bus, conn: Connection, workshop: Workshop) -> None:
    job = Inputs("erased early")
    member = Member(bus, conn, workshop)
    assert member.give(job, job.cancelled()) == []
    assert [type(fact).__name__ for fact in member.give(job, job.erased())] == ["JobErased"]
    assert [type(fact).__name__ for fact in member.give(job, job.upload(), job.prepared())] == ["JobErased"]
    assert conn.execute("SELECT count(*) FROM assembler_parked WHERE job_id = %s", (job.job_id,)).fetchone() == (0,)
    assert [letter for letter in bus.raw(DEAD_LETTERS) if letter.key == job.job_id.encode()] == []
