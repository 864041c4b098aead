"""The view `history`: one line for each fact, without its content.

In: one fact. Out: its line, with code and message where a request was refused or the job failed.
Knows no other fact, no database and no clock.
"""

from projections.writes import Statement, Write, stamp
from schemas import records
from schemas.records import TranscriptRecord

LINE = Statement(name="put_line", key=("job_id", "seq"))
ERASURE = Statement(name="put_erasure", key=("job_id",))
ERASE = Statement(name="erase", key=("job_id",))
STATEMENTS = (LINE, ERASURE, ERASE)


def project(fact: TranscriptRecord) -> tuple[Write, ...]:
    """The line of one fact; an erasure also takes the earlier lines away."""
    if isinstance(fact, records.JobErased):
        marker = Write(statement=ERASURE, row=stamp(fact))
        return (_line(fact), marker, Write(statement=ERASE, row=stamp(fact)))
    return (_line(fact),)


def _line(fact: TranscriptRecord) -> Write:
    code, message = _told(fact)
    row = stamp(fact) | {
        "kind": type(fact).__name__,
        "occurred_at": fact.occurred_at,
        "actor": fact.actor,
        "cause_id": fact.cause_id,
        "event_id": fact.event_id,
        "code": code,
        "message": message,
    }
    return Write(statement=LINE, row=row)


def _told(fact: TranscriptRecord) -> tuple[str | None, str | None]:
    match fact:
        case records.RequestRefused() | records.JobFailed():
            return fact.code, fact.message
        case _:
            return None, None
