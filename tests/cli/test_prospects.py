"""Whether a redrive can help, as a table."""

from dataclasses import replace

import pytest

from cli.prospects import hopeless
from projections.jobs.standing import Standing
from schemas import records
from tests.streams.assembler.given import Inputs
from tests.streams.speech.lane import cut_of

JOB = Inputs("prospects")
QUEUED = Standing(job_id=JOB.job_id, status="queued", round=0, prepared=False)
PREPARED = replace(QUEUED, status="processing", prepared=True)
COMPLETED = replace(PREPARED, status="completed")
CANCELLED = replace(PREPARED, status="cancelled")
RETRIED = replace(PREPARED, round=1)


@pytest.mark.parametrize(
    ("record", "job", "stored", "why"),
    [
        (JOB.upload(), None, True, ""),
        (JOB.upload(), None, False, "no longer stored"),
        (JOB.upload(), QUEUED, True, ""),
        (JOB.upload(), PREPARED, True, "prepared already"),
        (JOB.upload(), COMPLETED, True, "submit the recording again"),
        (JOB.prepared(), QUEUED, True, ""),
        (JOB.prepared(), None, True, "no job"),
        (cut_of(0), PREPARED, True, ""),
        (cut_of(0), PREPARED, False, "no longer stored"),
        (cut_of(0), COMPLETED, True, "retry the job"),
        (cut_of(0), CANCELLED, True, "ended (cancelled)"),
        (cut_of(0), RETRIED, True, "round 0"),
        (JOB.transcribed(0), PREPARED, True, ""),
        (JOB.transcribed(0), None, True, "no job"),
        (JOB.cancelled(), PREPARED, True, ""),
        (JOB.cancelled(), COMPLETED, True, "ended"),
        (JOB.retried(), COMPLETED, True, ""),
        (JOB.erased(), COMPLETED, True, ""),
        (JOB.stalled(), PREPARED, True, "by itself"),
        (JOB.named("spk1", "Ada"), COMPLETED, True, ""),
        (JOB.named("spk1", "Ada"), None, True, "no job"),
    ],
)
def test_it_says_why_it_cannot_help(record: records.Record, job: Standing | None, stored: bool, why: str) -> None:
    found = hopeless(record, job, lambda key: stored)
    assert why in found if why else found == ""
