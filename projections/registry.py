"""The projections that the projector runs, as a table of contents.

In: nothing. Out: each projection with its pure function and the package of its SQL.
`search` comes before `transcripts`: it marks the segments that an erasure is about to take away; a segment that
arrives in the same batch marks itself.
"""

from dataclasses import dataclass
from enum import Enum

from projections.history import project as history
from projections.jobs import project as jobs
from projections.search import project as search
from projections.transcripts import project as transcripts
from projections.writes import Project, Statement


class Rebuilt(Enum):
    """What a view is made again from."""

    FROM_LOG = "log"  # its tables, by its own function
    FROM_TRANSCRIPTS = "transcripts"  # documents beside the tables, from the view `transcripts`
    NEVER = "never"  # it remembers what was done in the world, which the log does not


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """One view: its function, its statements in the order in which they run, and the tables that are the view."""

    name: str
    package: str
    project: Project
    statements: tuple[Statement, ...]
    tables: tuple[str, ...]
    rebuilt: Rebuilt = Rebuilt.FROM_LOG


PROJECTIONS: tuple[Projection, ...] = (
    Projection(
        name="jobs",
        package="projections.jobs",
        project=jobs.project,
        statements=jobs.STATEMENTS,
        tables=(
            "job_request",
            "job_audio",
            "job_state",
            "job_chunk",
            "job_retry",
            "job_completion",
            "job_touch",
            "job_erasure",
        ),
    ),
    Projection(
        name="search",
        package="projections.search",
        project=search.project,
        statements=search.STATEMENTS,
        tables=("search_pending",),
        rebuilt=Rebuilt.FROM_TRANSCRIPTS,
    ),
    Projection(
        name="transcripts",
        package="projections.transcripts",
        project=transcripts.project,
        statements=transcripts.STATEMENTS,
        tables=(
            "transcript_job",
            "transcript_completion",
            "transcript_segment",
            "transcript_speaker",
            "transcript_speaker_name",
            "transcript_speaker_merge",
            "transcript_erasure",
        ),
    ),
    Projection(
        name="history",
        package="projections.history",
        project=history.project,
        statements=history.STATEMENTS,
        tables=("history", "history_erasure"),
    ),
)
