"""What was forgotten leaves the files of PostgreSQL and OpenSearch.

In: when something was last forgotten, and what was rewritten since. Out: tables and index segments written anew.
What the search index shows is forgotten when the indexer has written it over, which may be long after the erasure.
Small tables and a small index are rewritten as soon as something was forgotten; large ones, which takes time and holds
locks, at most once in `rewrite_period_s`. The log has compaction for this, the object store deletes files.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from effects import erasures
from effects.sweeps.decisions import rewrite_due
from effects.world import World
from projections.search.index import EVERY_VERSION
from runtime.faults import crash_point
from runtime.opensearch import SearchEngine
from runtime.postgres import borrowed
from runtime.rewriting import rewrite_tables
from runtime.telemetry import logger

SMALL_TABLE_BYTES = 64 * 1024 * 1024
SMALL_INDEX_BYTES = 512 * 1024 * 1024
SMALL_PERIOD_S = 10
_NO_LIMIT = 1 << 62
# For this long the engine keeps a document that was replaced, for copies of the index that might still want it.
INDEX_LEASE = timedelta(seconds=35)

SMALL_TABLES = "small tables"
LARGE_TABLES = "large tables"
INDEX = "index"

log = logger(__name__)
Work = Callable[[World], Awaitable[datetime | None]]


async def rewrite(world: World) -> int:
    """Rewrites the stores for which it is due; their number. The index comes last: while it is away, tables go on."""
    async with borrowed(world.connections, commit="erasure.unmarked") as conn:
        await erasures.note_unmarked(conn)
        forgotten, last = await erasures.last_forgotten(conn), await erasures.rewrites(conn)
    now, large_s, done = datetime.now(UTC), world.forgetting.rewrite_period_s, 0
    if rewrite_due(forgotten.rows, last.get(SMALL_TABLES), now, SMALL_PERIOD_S):
        done += await _rewritten(world, SMALL_TABLES, _small_tables)
    if rewrite_due(forgotten.rows, last.get(LARGE_TABLES), now, large_s):
        done += await _rewritten(world, LARGE_TABLES, _large_tables)
    # Only then is the engine asked how large its index is.
    if rewrite_due(forgotten.documents, last.get(INDEX), now, SMALL_PERIOD_S):
        large = await asyncio.to_thread(index_is_large, world.search)
        if not large or rewrite_due(forgotten.documents, last.get(INDEX), now, large_s):
            done += await _rewritten(world, INDEX, _index)
    return done


def index_is_large(engine: SearchEngine) -> bool:
    """Whether a version of the index is too large to be rewritten each time."""
    return any(engine.bytes_of(index) >= SMALL_INDEX_BYTES for index in engine.indices(EVERY_VERSION))


async def _rewritten(world: World, store: str, work: Work) -> bool:
    """Whether it was; not where a table was locked."""
    if (through := await work(world)) is None:
        return False
    async with borrowed(world.connections, commit="rewrite.note") as conn:
        await erasures.note_rewrite(conn, store, through)
    return True


async def _small_tables(world: World) -> datetime | None:
    return await _tables(world, 0, SMALL_TABLE_BYTES)


async def _large_tables(world: World) -> datetime | None:
    return await _tables(world, SMALL_TABLE_BYTES, _NO_LIMIT)


async def _tables(world: World, smallest_bytes: int, largest_bytes: int) -> datetime | None:
    """Until when; None where a table was locked, so that it is tried again soon."""
    with crash_point("tables.rewrite"):
        done = await asyncio.to_thread(rewrite_tables, world.postgres_dsn, smallest_bytes, largest_bytes)
    log.info("rewrote tables", action="tables.rewritten", tables=len(done.tables), locked=list(done.left))
    return None if done.left else done.through


async def _index(world: World) -> datetime:
    begun = datetime.now(UTC)
    with crash_point("index.expunge"):
        await asyncio.to_thread(world.search.expunge, EVERY_VERSION)
    log.info("rewrote the index", action="index.rewritten")
    return begun - INDEX_LEASE
