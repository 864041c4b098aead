"""States as rows: what is written for one result, what is remembered, and when that is not trusted."""

import pytest

from runtime.postgres import Connection
from streams.assembler import state_rows
from streams.assembler.decide import Input, decide
from streams.assembler.job import fold
from streams.assembler.state import State
from streams.assembler.state_rows import StateRows
from tests.streams.assembler.given import Inputs

CHUNKS = 40


def give(rows: StateRows, conn: Connection, *inputs: Input) -> State:
    """One transaction for all of them."""
    [job_id] = {given.job_id for given in inputs}
    with conn.transaction():
        before = rows.lock(conn, [job_id])
        state = before.get(job_id)
        for given in inputs:
            state = fold(decide(state, given), state)
        assert state is not None
        rows.save(conn, 0, before, {job_id: state})
    return state


def versions(conn: Connection, job_id: str) -> dict[int, str]:
    """By index, which transaction wrote the row."""
    return dict(conn.execute("SELECT index, xmin::text FROM assembler_chunks WHERE job_id = %s", (job_id,)).fetchall())


@pytest.mark.parametrize("early", [False, True])
def test_a_result_writes_the_row_of_its_chunk_alone(conn: Connection, early: bool) -> None:
    job, rows = Inputs(f"rows/{early}", chunks=CHUNKS), StateRows()
    results = [result for n in range(CHUNKS) for result in (job.transcribed(n), job.diarized(n))]
    give(rows, conn, job.upload(), *([] if early else [job.prepared()]))
    for result in results:
        before = versions(conn, job.job_id)
        give(rows, conn, result)
        written = {index for index, by in versions(conn, job.job_id).items() if before.get(index) != by}
        assert written == {result.index}
    state = give(rows, conn, job.prepared()) if early else rows.lock(conn, [job.job_id])[job.job_id]
    assert state.status == "assembling"
    assert len(state.chunks) == len(versions(conn, job.job_id)) == CHUNKS


def test_what_is_read_is_what_is_remembered(conn: Connection) -> None:
    job, rows = Inputs("remembered", chunks=3), StateRows()
    give(rows, conn, job.upload(), job.transcribed(1), job.failed(2))
    assert StateRows().lock(conn, [job.job_id]) == rows.lock(conn, [job.job_id])
    give(rows, conn, job.prepared(), job.transcribed(0))
    assert StateRows().lock(conn, [job.job_id]) == rows.lock(conn, [job.job_id])


def test_what_another_wrote_and_what_was_rolled_back_is_not_remembered(conn: Connection) -> None:
    job, ours, theirs = Inputs("two writers", chunks=3), StateRows(), StateRows()
    give(ours, conn, job.upload(), job.prepared())
    give(theirs, conn, job.transcribed(0))
    assert ours.lock(conn, [job.job_id]) == theirs.lock(conn, [job.job_id])
    kept = ours.lock(conn, [job.job_id])
    with pytest.raises(RuntimeError), conn.transaction():
        give(ours, conn, job.transcribed(1))
        raise RuntimeError
    assert ours.lock(conn, [job.job_id]) == kept


def test_chunks_of_a_job_that_is_no_more_leave_no_rows(conn: Connection) -> None:
    for name, end in (("gone", Inputs.erased), ("stopped", Inputs.cancelled)):
        job, rows = Inputs(name, chunks=3), StateRows()
        give(rows, conn, job.upload(), job.transcribed(1))
        assert versions(conn, job.job_id)
        give(rows, conn, end(job))
        assert not versions(conn, job.job_id)


def test_only_so_much_is_remembered(conn: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_rows, "MOST_PARTS", 20)
    rows, jobs = StateRows(), [Inputs(f"one of many/{n}", chunks=4) for n in range(4)]
    for job in jobs:
        give(rows, conn, job.upload(), job.prepared())
    assert list(rows._known) == [job.job_id for job in jobs[-2:]]
    found = rows.lock(conn, [job.job_id for job in jobs])
    assert {len(state.chunks) for state in found.values()} == {4}
