"""Where a job stands, for operator commands: across tenants, nothing of it reaches a client.

In: a connection. Out: frozen rows by job id. Knows no HTTP.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from psycopg.rows import dict_row

from runtime.postgres import Connection, load_sql


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A job as the views show it: `round` is that of its last retry, `prepared` says that its plan is known."""

    job_id: str
    status: str
    round: int
    prepared: bool

    @property
    def open(self) -> bool:
        """Whether work is under way."""
        return self.status in ("queued", "processing")


def standings(conn: Connection, job_ids: Sequence[str]) -> dict[str, Standing]:
    """Those of the jobs that are known, erased ones included."""
    with conn.cursor(row_factory=dict_row) as cursor:
        cursor.execute(load_sql("projections.jobs", "upkeep.sql")["standings"].encode(), {"job_ids": list(job_ids)})
        return {row.job_id: row for row in msgspec.convert(cursor.fetchall(), tuple[Standing, ...])}
