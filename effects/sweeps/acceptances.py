"""Acceptances that have not reached the log are produced again, byte for byte.

In: the API's table of acceptances and the views. Out: records on the upload topics; rows that the views have taken over
go away. The assembler drops repeats by event id, so producing once too often is harmless. One that never arrives,
however often it is produced, cannot be read by the assembler: after hours it is produced no more, stays in the table,
and a metric says so until the views know its job or somebody has dealt with it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from effects.world import World
from projections.jobs import upkeep as jobs
from runtime.faults import crash_point
from runtime.kafka import Outgoing
from runtime.postgres import AsyncConnection, borrowed, load_sql
from runtime.telemetry import acceptances_given_up, acceptances_repeated, logger

OLD_S = 10
REPEAT_AFTER_S = 60
# After 1, 2, 4 … minutes: the last one more than four hours after the first.
MAX_REPEATS = 9
BATCH = 500
KEY_EXPIRY_S = 24 * 3600
_SQL = "api.requests"
Place = tuple[datetime | None, str | None]

log = logger(__name__)


async def repeat_acceptances(world: World) -> int:
    """Produces what has not arrived, forgets what has; the number of records produced.

    All of them each time: those that wait for a partition that stopped are the oldest, and may be any number.
    """
    produced = 0
    after: Place | None = (None, None)
    while after:
        done, after = await _repeat_page(world, after)
        produced += done
    return produced


async def _repeat_page(world: World, after: Place) -> tuple[int, Place | None]:
    """The number of records produced, and where the next page begins, if there is one."""
    async with borrowed(world.connections, commit="acceptances.forget") as conn:
        rows = await _old(conn, after)
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
        await _look_at_given_up(conn)
    for job_id in (row[0] for row in due if row[-2] + 1 == MAX_REPEATS):
        log.error("an acceptance does not arrive and is produced no more", action="acceptance.given_up", job_id=job_id)
    return len(due), (rows[-1][6], rows[-1][0]) if len(rows) == BATCH else None


async def _look_at_given_up(conn: AsyncConnection) -> None:
    found = await conn.execute(load_sql(_SQL)["given_up"].encode(), {"most": MAX_REPEATS})
    acceptances_given_up.set((await found.fetchone() or (0,))[0])


async def _old(conn: AsyncConnection, after: Place) -> Sequence[Any]:
    sql = load_sql(_SQL)["old_acceptances"]
    values = {"older_s": OLD_S, "repeat_after_s": REPEAT_AFTER_S, "most": MAX_REPEATS, "limit": BATCH}
    place = {"after": after[0], "after_id": after[1]}
    return await (await conn.execute(sql.encode(), values | place)).fetchall()


async def _execute(conn: AsyncConnection, name: str, **values: object) -> None:
    await conn.execute(load_sql(_SQL)[name].encode(), values)


def _outgoing(row: Any) -> Outgoing:
    _, topic, partition, key, value, headers, *_ = row
    return Outgoing(
        topic=topic,
        partition=partition,
        key=bytes(key),
        value=bytes(value),
        headers=tuple((name, text.encode()) for name, text in headers),
    )
