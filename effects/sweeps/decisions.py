"""Which objects of a job may go, and when.

In: how a job ended, and the time. Out: a decision. Pure: the sweep that carries it out is `objects`.
"""

from dataclasses import dataclass
from enum import Enum

MS_PER_DAY = 86_400_000


class Keep(Enum):
    """What of a job's objects stays."""

    EVERYTHING = "everything"
    AUDIO = "audio"
    NOTHING = "nothing"


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
    """Chunks go when no retry can want them; the recording itself stays until it is erased."""
    if job.status == "erased":
        return Keep.NOTHING
    waited = now_ms - job.ended_at_ms >= retry_days * MS_PER_DAY
    if job.status == "cancelled" or not job.open_ends or waited:
        return Keep.AUDIO
    return Keep.EVERYTHING


def prefixes(job: Ended, kept: Keep) -> tuple[str, ...]:
    """Where the objects that may go are."""
    own = f"{job.tenant_id}/{job.job_id}/"
    match kept:
        case Keep.NOTHING:
            return (own,)
        case Keep.AUDIO:
            return (f"{own}chunks/", f"{own}evidence/")
        case Keep.EVERYTHING:
            return ()
