"""Erasures reach every version of a view at once, not only the live one.

In: the facts of a batch, in the projector's transaction. Out: an erased job's rows gone from the version that is being
made and from the one that is kept. Other facts reach those only when they are made or taken back.
"""

from collections.abc import Sequence

from projections.applying import apply_facts
from projections.rebuilding.log_sets import log_projections
from projections.rebuilding.versions import BY_NAME, run, schema_of, use_schemas
from runtime.postgres import Connection
from schemas.records import JobErased, TranscriptRecord


def forget_beside(conn: Connection, partition: int, facts: Sequence[TranscriptRecord]) -> None:
    """Applies the erasures among the facts to the versions that nobody reads now."""
    erasures = [fact for fact in facts if isinstance(fact, JobErased)]
    if not erasures:
        return
    names = [projection.name for projection in log_projections(list(BY_NAME))]
    for projection, version in run(conn, "beside", projections=names).fetchall():
        use_schemas(conn, [schema_of(projection, version)])
        apply_facts(conn, partition, erasures, [BY_NAME[projection]])
    conn.execute("SET LOCAL search_path TO DEFAULT")
