"""Work for a chunk that nobody could read: it is answered by its key alone, and the job goes on around the gap."""

from dataclasses import replace

from schemas import records
from schemas.values import Task
from streams.assembler.state import Status
from tests.streams.assembler.given import Inputs
from tests.streams.assembler.test_decide import Job


def unreadable(inputs: Inputs, index: int, task: Task = Task.ASR) -> records.ChunkFailed:
    """What a worker answers that knows no more than the key of its work."""
    unknown = replace(inputs.failed(index, task), tenant_id="", round=records.UNKNOWN_ROUND, chunk_sha256="")
    return replace(unknown, code="undecodable")


def test_work_that_could_not_be_read_leaves_a_gap() -> None:
    inputs, job = Inputs("unreadable"), Job()
    job.give(inputs.upload(), inputs.prepared(), inputs.transcribed(0), inputs.diarized(0))
    job.give(unreadable(inputs, 0))
    assert job.give(unreadable(inputs, 1)) == []
    assert job.give(unreadable(inputs, 1, Task.DIARIZATION)) == ["ChunkCompleted"]
    assert job.known.status is Status.ASSEMBLING
    [gap] = job.facts[-1].failed  # type: ignore[union-attr]
    assert (gap.index, gap.code) == (1, "undecodable")


def test_work_that_could_not_be_read_before_the_plan_counts_too_and_a_success_replaces_it() -> None:
    inputs, job = Inputs("unreadable early"), Job()
    job.give(inputs.upload(), unreadable(inputs, 0), unreadable(inputs, 1), inputs.transcribed(1))
    job.give(inputs.prepared(), inputs.diarized(0), inputs.diarized(1))
    assert {index: chunk.answers[Task.ASR].ok for index, chunk in job.known.chunks.items()} == {0: False, 1: True}


def test_work_that_could_not_be_read_of_a_chunk_nobody_planned_changes_nothing() -> None:
    inputs, job = Inputs("unreadable foreign"), Job()
    job.give(inputs.upload(), inputs.prepared())
    assert job.give(unreadable(inputs, 99)) == []
    assert job.known.status is Status.TRANSCRIBING
