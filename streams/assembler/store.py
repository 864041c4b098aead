"""The assembler's tables: jobs, applied inputs, results, parked inputs and the outbox.

In: what one batch decided. Out: rows, written and read in few statements; the caller holds the transaction.
Knows no rule of a job: states and records go in and out as they are.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import msgspec

from runtime.errors import Fenced
from runtime.kafka import Incoming, Outgoing
from runtime.postgres import Connection, load_sql
from streams.assembler.recovery import Recovered
from streams.assembler.state import State
from streams.assembler.state_rows import StateRows

# More than twice the results of the longest recording.
PARKED_PER_JOB = 10_000
_HEADERS = msgspec.msgpack.Decoder(tuple[tuple[str, bytes], ...])
_packed = msgspec.msgpack.encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A place in the outbox and the bytes that wait there. `partition` is the job's, not that of the topic."""

    job_id: str
    seq: int
    ordinal: int
    partition: int
    out: Outgoing


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A chunk's result as it came."""

    job_id: str
    index: int
    task: str
    round: int
    chunk_sha256: str
    record: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """An input whose job is not known."""

    job_id: str
    incoming: Incoming


class Store:
    """Reads and writes of one process; every method runs on the caller's connection and in its transaction."""

    def __init__(self) -> None:
        self._sql = load_sql("streams.assembler")
        self._states = StateRows()

    def claim(self, conn: Connection, partition: int) -> int:
        """Makes a partition ours and returns the number that proves it; waits for whoever is writing."""
        row = conn.execute(self._sql["claim"], {"partition": partition}).fetchone()
        assert row is not None
        return int(row[0])

    def check_claim(self, conn: Connection, partition: int, claim: int) -> None:
        """Raises Fenced when another member has claimed the partition."""
        found = conn.execute(self._sql["check_claim"], {"partition": partition, "claim": claim})
        if found.fetchone() is None:
            raise Fenced(f"partition {partition} was claimed by another member")

    def lock(self, conn: Connection, job_ids: Iterable[str]) -> dict[str, State]:
        """States of the jobs that exist, locked until the transaction ends."""
        return self._states.lock(conn, job_ids)

    def save(self, conn: Connection, partition: int, before: Mapping[str, State], after: Mapping[str, State]) -> None:
        """Writes the states that changed."""
        self._states.save(conn, partition, before, after)

    def forget_states(self) -> None:
        """What is remembered of states may be older than what other members wrote."""
        self._states.forget()

    def applied(self, conn: Connection, event_ids: Sequence[str]) -> set[tuple[str, int]]:
        """Which inputs took effect already, by event id and redrive count."""
        return {(str(e), int(r)) for e, r in conn.execute(self._sql["applied"], {"event_ids": list(event_ids)})}

    def mark_applied(self, conn: Connection, inputs: Sequence[tuple[str, int]]) -> None:
        """Remembers inputs that took effect."""
        if inputs:
            event_ids, redrives = zip(*inputs, strict=True)
            conn.execute(self._sql["mark_applied"], {"event_ids": list(event_ids), "redrives": list(redrives)})

    def keep(self, conn: Connection, results: Sequence[Result]) -> None:
        """Stores results for the assembly."""
        self._many(conn, "keep_result", [_fields(result) for result in results])

    def results(self, conn: Connection, job_id: str) -> list[Result]:
        """All stored results of a job."""
        rows = conn.execute(self._sql["results"], {"job_id": job_id})
        return [
            Result(job_id=job_id, index=index, task=task, round=round_, chunk_sha256=sha256, record=bytes(record))
            for index, task, round_, sha256, record in rows
        ]

    def forget_results(self, conn: Connection, job_ids: Sequence[str]) -> None:
        """Drops the results of jobs that need them no more."""
        if job_ids:
            conn.execute(self._sql["forget_results"], {"job_ids": list(job_ids)})

    def park(self, conn: Connection, parked: Sequence[Parked]) -> list[Parked]:
        """Keeps inputs until their job is known; returns those for which their job has no room."""
        if not parked:
            return []
        ids = {"job_ids": sorted({item.job_id for item in parked})}
        waiting: dict[str, int] = dict(conn.execute(self._sql["parked_of"], ids).fetchall())
        kept: list[Parked] = []
        over: list[Parked] = []
        for item in parked:
            waiting[item.job_id] = waiting.get(item.job_id, 0) + 1
            (kept if waiting[item.job_id] <= PARKED_PER_JOB else over).append(item)
        self._many(conn, "park", [_parked_row(item) for item in kept])
        return over

    def unpark(self, conn: Connection, job_id: str) -> list[Incoming]:
        """What waited for a job, in order of arrival."""
        return _arrived(conn.execute(self._sql["unpark"], {"job_id": job_id}).fetchall())

    def parked(self, conn: Connection, partitions: Sequence[int]) -> int:
        """How many inputs wait for jobs of these partitions."""
        row = conn.execute(self._sql["parked"], {"partitions": list(partitions)}).fetchone()
        return int(row[0]) if row else 0

    def expired(self, conn: Connection, partition: int, seconds: float) -> list[Incoming]:
        """Removes and returns inputs that waited too long."""
        rows = conn.execute(self._sql["expired"], {"partition": partition, "seconds": seconds}).fetchall()
        return _arrived(rows)

    def put_out(self, conn: Connection, slots: Sequence[Slot]) -> None:
        """Adds to the outbox; two facts of one number are impossible."""
        self._many(conn, "put_out", [_slot_row(slot) for slot in slots])

    def outbox(self, conn: Connection, partition: int) -> list[Slot]:
        """What waits to be published, a job's facts in order."""
        return [_slot(row) for row in conn.execute(self._sql["outbox"], {"partition": partition})]

    def outbox_depth(self, conn: Connection) -> int:
        """How much waits to be published, of all partitions."""
        row = conn.execute(self._sql["outbox_depth"]).fetchone()
        return int(row[0]) if row else 0

    def sent(self, conn: Connection, slots: Sequence[Slot]) -> None:
        """Removes what the broker has acknowledged."""
        conn.execute(
            self._sql["sent"],
            {
                "job_ids": [slot.job_id for slot in slots],
                "seqs": [slot.seq for slot in slots],
                "ordinals": [slot.ordinal for slot in slots],
            },
        )

    def forget_outbox(self, conn: Connection, job_ids: Sequence[str]) -> None:
        """Drops what erased jobs had still to say."""
        if job_ids:
            conn.execute(self._sql["forget_outbox"], {"job_ids": list(job_ids)})

    def assembling(self, conn: Connection, partitions: Sequence[int], limit: int) -> dict[str, int]:
        """Jobs whose assembly was ordered and has not come back, the oldest first, and their partitions."""
        rows = conn.execute(self._sql["assembling"], {"partitions": list(partitions), "limit": limit}).fetchall()
        return {str(job_id): int(partition) for job_id, partition in rows}

    def log_places(self, conn: Connection) -> dict[int, int]:
        """How far the log of `transcripts` is known, by partition: everything below is in the states."""
        rows = conn.execute(self._sql["log_places"]).fetchall()
        return {int(partition): int(following) for partition, following in rows}

    def put_log_place(self, conn: Connection, partition: int, following: int) -> None:
        """Notes it; what was noted before may have been more, on a log that is lost."""
        conn.execute(self._sql["put_log_place"], {"partition": partition, "next": following})

    def advance_log_place(self, conn: Connection, partition: int, following: int) -> None:
        """Our own facts are acknowledged up to there."""
        conn.execute(self._sql["advance_log_place"], {"partition": partition, "next": following})

    def note_recovered(self, conn: Connection, partition: int, given: Sequence[Recovered]) -> None:
        """Jobs whose state was learned from the log: their work has to go on."""
        self._many(conn, "note_recovered", [{"partition": partition, **asdict(item)} for item in given])

    def take_recovered(self, conn: Connection, partition: int, limit: int) -> list[Recovered]:
        """Removes and returns some of them."""
        rows = conn.execute(self._sql["take_recovered"], {"partition": partition, "limit": limit}).fetchall()
        return [Recovered(job_id=j, tenant_id=t, cause_id=c, occurred_at=at) for j, t, c, at in rows]

    def parked_and_known(self, conn: Connection, partition: int) -> list[str]:
        """Jobs that inputs are parked for although they are known."""
        rows = conn.execute(self._sql["parked_and_known"], {"partition": partition})
        return [str(row[0]) for row in rows]

    def prune(self, conn: Connection, partition: int, *, applied_days: int, result_days: int) -> None:
        """Drops what nobody can ask for any more."""
        conn.execute(self._sql["prune_applied"], {"days": applied_days})
        conn.execute(self._sql["prune_attempts"], {"days": applied_days})
        conn.execute(self._sql["prune_results"], {"partition": partition, "days": result_days})

    def _many(self, conn: Connection, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            with conn.cursor() as cursor:
                cursor.executemany(self._sql[name], rows)


def _fields(result: Result) -> dict[str, Any]:
    return {name: getattr(result, name) for name in Result.__dataclass_fields__}


def _parked_row(item: Parked) -> dict[str, Any]:
    given = item.incoming
    return {
        "topic": given.topic,
        "partition": given.partition,
        "place": given.offset,
        "job_id": item.job_id,
        "key": given.key,
        "value": given.value,
        "headers": _packed(given.headers),
        "timestamp_ms": given.timestamp_ms,
    }


def _arrived(rows: Sequence[tuple[Any, ...]]) -> list[Incoming]:
    """Two topics have no common order: what was parked first comes first, then what was written first."""
    return [
        Incoming(
            topic=topic,
            partition=partition,
            offset=place,
            key=None if key is None else bytes(key),
            value=None if value is None else bytes(value),
            headers=_HEADERS.decode(headers),
            timestamp_ms=timestamp_ms,
        )
        for _, timestamp_ms, topic, partition, place, key, value, headers in sorted(rows, key=lambda row: row[:5])
    ]


def _slot_row(slot: Slot) -> dict[str, Any]:
    return {
        "job_id": slot.job_id,
        "seq": slot.seq,
        "ordinal": slot.ordinal,
        "partition": slot.partition,
        "topic": slot.out.topic,
        "topic_partition": slot.out.partition,
        "key": slot.out.key,
        "value": slot.out.value,
        "headers": _packed(slot.out.headers),
    }


def _slot(row: tuple[Any, ...]) -> Slot:
    job_id, seq, ordinal, partition, topic, topic_partition, key, value, headers = row
    out = Outgoing(
        topic=topic,
        partition=topic_partition,
        key=bytes(key),
        value=None if value is None else bytes(value),
        headers=_HEADERS.decode(headers),
    )
    return Slot(job_id=job_id, seq=seq, ordinal=ordinal, partition=partition, out=out)
