"""Which objects of a job may go and when, and when a store must be rewritten.

In: how a job ended, what was done, and the time. Out: a decision. Pure: sweeps carry it out.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from effects.erasures import Rewrite

MS_PER_DAY = 86_400_000


class Keep(Enum):
    """What of a job's objects stays."""

    EVERYTHING = "everything"
    AUDIO = "audio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A job that has ended; `open_ends` says whether a retry could still fill something."""

    job_id: str
    tenant_id: str
    status: str
    seq: int
    ended_at_ms: int
    open_ends: bool


def keep(job: Ended, now_ms: int, retry_days: int) -> Keep:
    """Chunks go when no retry can want them; the recording itself stays until it is erased or too old."""
    waited = now_ms - job.ended_at_ms >= retry_days * MS_PER_DAY
    if job.status == "cancelled" or not job.open_ends or waited:
        return Keep.AUDIO
    return Keep.EVERYTHING


def prefixes(job: Ended, kept: Keep) -> tuple[str, ...]:
    """Where the objects that may go are."""
    own = f"{job.tenant_id}/{job.job_id}/"
    match kept:
        case Keep.AUDIO:
            return (f"{own}chunks/", f"{own}evidence/")
        case Keep.EVERYTHING:
            return ()


def rewrite_due(forgotten_at: datetime | None, last: Rewrite | None, now: datetime, period_s: int) -> bool:
    """Whether something was forgotten that the last rewrite may have missed, and that one is a period ago."""
    if forgotten_at is None:
        return False
    if last is None:
        return True
    return last.through <= forgotten_at and (now - last.done_at).total_seconds() >= period_s
