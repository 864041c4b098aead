"""Jobs' states as rows: one for the job and one for each of its chunks, so that a result costs the same in any job.

In: states before and after a transaction. Out: rows of what changed. A state is also remembered, with the version
that its row has: as long as the row has it, nothing but the version is read. Versions are drawn at random, so that none
comes twice, neither after a transaction was rolled back nor after an older copy of the database was restored.
Knows no rule of a job; the caller holds the transaction.
"""

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from runtime.postgres import Connection, load_sql
from schemas.values import PlannedChunk
from streams.assembler.state import Chunk, EarlyAnswer, Mark, State

MOST_PARTS = 50_000  # chunks and segments of all the states that are remembered, a few hundred bytes each
VERSION_BITS = 63

_STATE = msgspec.json.Decoder(State)
_PLAN = msgspec.json.Decoder(tuple[PlannedChunk, ...])
_MARKS = msgspec.json.Decoder(dict[str, Mark])
_CHUNK = msgspec.json.Decoder(Chunk)
_EARLY = msgspec.json.Decoder(tuple[EarlyAnswer, ...])
_json = msgspec.json.encode


class StateRows:
    """The tables `assembler_jobs` and `assembler_chunks`, and what this process remembers of them."""

    def __init__(self) -> None:
        self._sql = load_sql("streams.assembler")
        self._known: dict[str, tuple[int, State]] = {}
        self._parts = 0

    def lock(self, conn: Connection, job_ids: Iterable[str]) -> dict[str, State]:
        """States of the jobs that exist, locked until the transaction ends."""
        wanted = sorted(set(job_ids))
        known = {job_id: self._known[job_id] for job_id in wanted if job_id in self._known}
        given = {"job_ids": wanted, "known": [version for version, _ in known.values()]}
        rows = conn.execute(self._sql["lock_jobs"], given).fetchall()
        chunks = self._chunks(conn, [job_id for job_id, _, state, *_ in rows if state is not None])
        found = {}
        for job_id, version, *parts in rows:
            found[job_id] = known[job_id][1] if parts[0] is None else _state(parts, chunks[job_id])
            self._remember(version, found[job_id])
        return found

    def save(self, conn: Connection, partition: int, before: Mapping[str, State], after: Mapping[str, State]) -> None:
        """Writes the states that changed, and of their chunks those that did."""
        changed = [
            (before.get(job_id), state) for job_id, state in sorted(after.items()) if before.get(job_id) is not state
        ]
        if not changed:
            return
        versions = [secrets.randbits(VERSION_BITS) for _ in changed]
        with conn.cursor() as cursor:
            rows = [_job_row(partition, v, *pair) for v, pair in zip(versions, changed, strict=True)]
            cursor.executemany(self._sql["save_job"], rows)
        self._save_chunks(conn, changed)
        for version, (_, state) in zip(versions, changed, strict=True):
            self._remember(version, state)

    def forget(self) -> None:
        """Nothing is remembered any more: others may have written, or erased, meanwhile."""
        self._known, self._parts = {}, 0

    def _chunks(self, conn: Connection, job_ids: Sequence[str]) -> dict[str, list[tuple[Any, ...]]]:
        found: dict[str, list[tuple[Any, ...]]] = {job_id: [] for job_id in job_ids}
        if job_ids:
            for job_id, *row in conn.execute(self._sql["chunks_of_jobs"], {"job_ids": list(job_ids)}):
                found[job_id].append(tuple(row))
        return found

    def _save_chunks(self, conn: Connection, changed: Sequence[tuple[State | None, State]]) -> None:
        rows = [(new.job_id, *row) for old, new in changed for row in _chunk_rows(old, new)]
        if rows:
            job_ids, indexes, chunks, early = map(list, zip(*rows, strict=True))
            given = {"job_ids": job_ids, "indexes": indexes, "chunks": chunks, "early": early}
            conn.execute(self._sql["save_chunks"], given)
        gone = [(new.job_id, index) for old, new in changed if old for index in _indexes(old) - _indexes(new)]
        if gone:
            job_ids, indexes = map(list, zip(*gone, strict=True))
            conn.execute(self._sql["forget_chunks"], {"job_ids": job_ids, "indexes": indexes})

    def _remember(self, version: int, state: State) -> None:
        """The latest stay, as many as there is room for; the last one in any case."""
        if (old := self._known.pop(state.job_id, None)) is not None:
            self._parts -= _parts(old[1])
        self._known[state.job_id] = (version, state)
        self._parts += _parts(state)
        while self._parts > MOST_PARTS and len(self._known) > 1:
            _, dropped = self._known.pop(next(iter(self._known)))
            self._parts -= _parts(dropped)


def _state(parts: Sequence[Any], chunks: Sequence[tuple[Any, ...]]) -> State:
    state, plan, segments = parts
    return replace(
        _STATE.decode(state),
        plan=_PLAN.decode(plan),
        segments=_MARKS.decode(segments),
        chunks={index: _CHUNK.decode(chunk) for index, chunk, _ in chunks if chunk is not None},
        early={index: _EARLY.decode(early) for index, _, early in chunks if early is not None},
    )


def _parts(state: State) -> int:
    return 1 + len(state.plan) + len(state.chunks) + len(state.early) + len(state.segments)


def _indexes(state: State) -> set[int]:
    return {*state.chunks, *state.early}


def _job_row(partition: int, version: int, old: State | None, new: State) -> dict[str, Any]:
    same_plan = old is not None and old.plan is new.plan
    same_marks = old is not None and old.segments is new.segments
    return {
        "job_id": new.job_id,
        "partition": partition,
        "status": new.status.value,
        "version": version,
        "state": _json(replace(new, plan=(), segments={}, chunks={}, early={})),
        "plan": None if same_plan else _json(new.plan),
        "segments": None if same_marks else _json(new.segments),
    }


def _chunk_rows(old: State | None, new: State) -> Iterator[tuple[int, bytes | None, bytes | None]]:
    """Rows of chunks that changed; a state that changed in other ways has the same objects in these places."""
    if old is not None and old.chunks is new.chunks and old.early is new.early:
        return
    for index in sorted(_indexes(new)):
        chunk, early = new.chunks.get(index), new.early.get(index)
        if old is None or chunk is not old.chunks.get(index) or early is not old.early.get(index):
            yield index, None if chunk is None else _json(chunk), None if early is None else _json(early)
