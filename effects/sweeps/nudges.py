"""Nudges: a tombstone with a key of its own to each partition of `transcripts`, on a schedule.

In: the time of the last nudge. Out: one record a partition and period. Compaction rolls a segment only when something
is appended, so without this the last words of an erased job could stay on a quiet partition's disk for ever.
"""

from effects.world import World
from runtime.faults import crash_point
from runtime.kafka import Outgoing
from runtime.postgres import borrowed, load_sql
from schemas.identity import nudge_key
from schemas.topics import TRANSCRIPTS


async def nudge(world: World) -> int:
    """Nudges the partitions whose last nudge is a period ago; their number."""
    sql = load_sql("effects")
    async with borrowed(world.connections) as conn:
        answer = await conn.execute(sql["nudged_partitions"].encode(), {"period_s": world.forgetting.nudge_period_s})
        fresh = {row[0] for row in await answer.fetchall()}
    due = [partition for partition in range(world.kafka.partitions) if partition not in fresh]
    for partition in due:
        out = Outgoing(topic=TRANSCRIPTS, partition=partition, key=nudge_key(partition), value=None)
        with crash_point("nudge.produce"):
            await world.producer.send(out)
        async with borrowed(world.connections, commit="nudges.note") as conn:
            await conn.execute(sql["note_nudge"].encode(), {"partition": partition})
    return len(due)
