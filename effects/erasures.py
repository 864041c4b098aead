"""What `effects` remembers of erasures: which are under way, what was done for each, and what was rewritten since.

In: a connection. Out: frozen rows. Holds ids, counts and times, and nothing of what a job was about.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from psycopg.rows import dict_row

from runtime.postgres import AsyncConnection, load_sql


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenErasure:
    """An erasure to be looked at again; `final` says that this look is the last."""

    job_id: str
    final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """How far an erasure is; `unmarked_at` is None while a document of it may wait for the search index."""

    seq: int
    noticed_at: datetime
    passed_at: datetime
    forgot_at: datetime
    unmarked_at: datetime | None
    settled_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A look at an erased job: whether there was something to forget, also in the search index, and whether it was the
    last. One that missed a place counts as one that was made `ago_s` ago, so that the next one is sooner."""

    found: bool
    marked: bool
    final: bool
    ago_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """When something was last deleted from tables, and last written over in the search index."""

    rows: datetime | None
    documents: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What was done in one place: how often, how much in all."""

    step: str
    runs: int
    amount: int
    detail: str
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """A store's files hold nothing that was deleted before `through`."""

    store: str
    through: datetime
    done_at: datetime


async def begun(conn: AsyncConnection, job_ids: Sequence[str]) -> frozenset[str]:
    """Those whose erasure was taken up."""
    return frozenset(row["job_id"] for row in await _rows(conn, "erasures_begun", {"job_ids": list(job_ids)}))


async def take_up(conn: AsyncConnection, job_id: str, seq: int) -> None:
    """Takes an erasure up."""
    await _execute(conn, "begin_erasure", {"job_id": job_id, "seq": seq})


async def still_open(conn: AsyncConnection, settle_s: int, repeat_s: float, limit: int) -> list[OpenErasure]:
    """Erasures whose last look is `repeat_s` ago."""
    values = {"settle_s": settle_s, "repeat_s": repeat_s, "limit": limit}
    return msgspec.convert(await _rows(conn, "open_erasures", values), list[OpenErasure])


async def note_look(conn: AsyncConnection, job_id: str, look: Look) -> None:
    """Notes what a look found."""
    await _execute(conn, "note_look", {"job_id": job_id, **msgspec.to_builtins(look)})


async def note_unmarked(conn: AsyncConnection) -> None:
    """Notes which erasures have no document left that waits for the search index."""
    await _execute(conn, "note_unmarked", {})


async def note_step(conn: AsyncConnection, job_id: str, step: str, amount: int, detail: str = "") -> None:
    """Notes what was done in one place."""
    await _execute(conn, "note_step", {"job_id": job_id, "step": step, "amount": amount, "detail": detail})


async def get(conn: AsyncConnection, job_id: str) -> Erasure | None:
    """How far an erasure is; None before it was taken up."""
    rows = msgspec.convert(await _rows(conn, "erasure", {"job_id": job_id}), list[Erasure])
    return rows[0] if rows else None


async def steps(conn: AsyncConnection, job_id: str) -> list[Step]:
    """What was done, in the order in which it began."""
    return msgspec.convert(await _rows(conn, "steps", {"job_id": job_id}), list[Step])


async def last_forgotten(conn: AsyncConnection) -> Forgotten:
    """When something was last forgotten."""
    return msgspec.convert((await _rows(conn, "last_forgotten", {}))[0], Forgotten)


async def rewrites(conn: AsyncConnection) -> dict[str, Rewrite]:
    """The last rewrite of each store."""
    rows = msgspec.convert(await _rows(conn, "rewrites", {}), list[Rewrite])
    return {row.store: row for row in rows}


async def note_rewrite(conn: AsyncConnection, store: str, through: datetime) -> None:
    """Notes a rewrite."""
    await _execute(conn, "note_rewrite", {"store": store, "through": through})


async def _rows(conn: AsyncConnection, name: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(load_sql("effects")[name].encode(), values)
        return await cursor.fetchall()


async def _execute(conn: AsyncConnection, name: str, values: Mapping[str, Any]) -> None:
    await conn.execute(load_sql("effects")[name].encode(), values)
