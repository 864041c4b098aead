"""Acceptances that have not reached the log are produced again, byte for byte.

In: the API's table of acceptances and the views. Out: records on the upload topics; rows that the views have taken over
go away. The assembler drops repeats by event id, so producing once too often is harmless.
"""

from collections.abc import Sequence
from typing import Any

from effects.world import World
from projections.jobs import upkeep as jobs
from runtime.faults import crash_point
from runtime.kafka import Outgoing
from runtime.postgres import AsyncConnection, borrowed, load_sql
from runtime.telemetry import acceptances_repeated, logger

OLD_S = 10
REPEAT_AFTER_S = 60
BATCH = 500
KEY_EXPIRY_S = 24 * 3600
_SQL = "api.requests"

log = logger(__name__)


async def repeat_acceptances(world: World) -> int:
    """Produces what has not arrived, forgets what has; the number of records produced."""
    async with borrowed(world.connections, commit="acceptances.forget") as conn:
        rows = await _old(conn)
        known = await jobs.known(conn, [row[0] for row in rows])
        erased = await jobs.erased_among(conn, [row[0] for row in rows])
        await _execute(conn, "forget_acceptances", job_ids=sorted(known | erased))
        await _execute(conn, "forget_answers", job_ids=sorted(erased))
        await _execute(conn, "forget_keys", older_s=KEY_EXPIRY_S)
    missing = [row for row in rows if row[0] not in known | erased]
    due = [row for row in missing if row[-1]]
    for row in due:
        log.warning("an acceptance is not in the log", action="acceptance.repeat", job_id=row[0])
        with crash_point("acceptance.produce"):
            await world.producer.send(_outgoing(row))
        acceptances_repeated.inc()
    async with borrowed(world.connections, commit="acceptances.note") as conn:
        await _execute(conn, "note_repeat", job_ids=[row[0] for row in due])
    return len(due)


async def _old(conn: AsyncConnection) -> Sequence[Any]:
    sql = load_sql(_SQL)["old_acceptances"]
    values = {"older_s": OLD_S, "repeat_after_s": REPEAT_AFTER_S, "limit": BATCH}
    return await (await conn.execute(sql.encode(), values)).fetchall()


async def _execute(conn: AsyncConnection, name: str, **values: object) -> None:
    await conn.execute(load_sql(_SQL)[name].encode(), values)


def _outgoing(row: Any) -> Outgoing:
    _, topic, partition, key, value, headers, _ = row
    return Outgoing(
        topic=topic,
        partition=partition,
        key=bytes(key),
        value=bytes(value),
        headers=tuple((name, text.encode()) for name, text in headers),
    )
