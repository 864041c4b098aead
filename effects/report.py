"""What an erasure has reached and what is still to come: the evidence, looked up again each time.

In: an erased job. Out: for each place whether the job is gone from it, when that was done, and by when it must be.
Nothing is taken from memory that can be looked at: rows are counted, objects and documents listed, the log is scanned.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from psycopg import sql

from effects import bounds, erasures
from effects.erasures import Erasure, Rewrite, Step
from effects.sweeps.rewriting import INDEX, LARGE_TABLES, SMALL_TABLES, index_is_large
from projections.jobs import upkeep as jobs
from projections.jobs.upkeep import ErasedJob
from projections.search.remains import shown
from runtime.kafka import topic_settings
from runtime.objects import ObjectStore
from runtime.opensearch import SearchEngine
from runtime.postgres import AsyncConnection, async_connection, load_sql
from runtime.settings import Settings
from runtime.topic_reader import read_topic
from schemas.identity import fact_key, partition_for
from schemas.topics import TRANSCRIPTS

# Rows that stay say that the job was erased, and nothing of what it was about. Of those of the second kind only some.
MARKERS = frozenset(
    {
        "job_erasure",
        "transcript_erasure",
        "history_erasure",
        "erasures",
        "erasure_steps",
        "swept_jobs",
        "audio_expiries",
    }
)
PARTLY = ("history", "job_touch", "assembler_jobs", "idempotency_keys")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One place: `left` things of the job are still there, and must be gone `by`; `proven` says how we know."""

    name: str
    left: int
    proven: str
    done: str
    done_at: datetime | None
    by: datetime
    by_age: bool = False

    def overdue(self, now: datetime) -> bool:
        """Whether something is there that should be gone."""
        return bool(self.left) and now > self.by


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """An erasure, place by place."""

    job_id: str
    erased_at: datetime
    settled_at: datetime | None
    places: tuple[Place, ...]

    @property
    def waiting(self) -> bool:
        """Whether something is still to come that is not a matter of age alone."""
        return any(place.left for place in self.places if not place.by_age)

    def overdue(self, now: datetime) -> bool:
        """Whether a bound was broken."""
        return any(place.overdue(now) for place in self.places)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Log:
    """What a scan of the job's partition found."""

    facts: int
    tombstones: int
    first: int | None
    last: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What the database says."""

    rows: Mapping[str, int]
    erasure: Erasure | None
    steps: Mapping[str, Step]
    rewrites: Mapping[str, Rewrite]


async def report(settings: Settings, job_id: str) -> Report | None:
    """The report on a job; None where no erasure of it is known. Raises Unavailable where it cannot look."""
    async with async_connection(settings.postgres_dsn) as conn:
        found = await jobs.erasures_of(conn, [job_id])
        if not found:
            return None
        known = _Known(
            rows=await _rows_left(conn, job_id),
            erasure=await erasures.get(conn, job_id),
            steps={step.step: step for step in await erasures.steps(conn, job_id)},
            rewrites=await erasures.rewrites(conn),
        )
    erased_at = datetime.fromtimestamp(found[0].erased_at_ms / 1000, UTC)
    places = (
        *_rows_and_files(known, erased_at, settings),
        *await asyncio.to_thread(_outside, settings, found[0], known, erased_at),
        *_by_age(erased_at),
    )
    settled_at = known.erasure.settled_at if known.erasure else None
    return Report(job_id=job_id, erased_at=erased_at, settled_at=settled_at, places=places)


async def _rows_left(conn: AsyncConnection, job_id: str) -> dict[str, int]:
    """How many rows of the job each table holds, without the markers."""
    tables = [row[0] for row in await (await conn.execute(load_sql("effects")["tables_of_jobs"].encode())).fetchall()]
    left = {}
    for table in sorted(set(tables) - MARKERS - {*PARTLY}):
        query = sql.SQL("SELECT count(*) FROM {} WHERE job_id = %s").format(sql.Identifier(table))
        row = await (await conn.execute(query, (job_id,))).fetchone()
        left[table] = int(row[0]) if row else 0
    told = await (
        await conn.execute(load_sql("effects")["left_beside_markers"].encode(), {"job_id": job_id})
    ).fetchone()
    if told is not None:
        left |= dict(zip(PARTLY, map(int, told), strict=True))
    return left


def _rows_and_files(known: _Known, erased_at: datetime, settings: Settings) -> tuple[Place, ...]:
    held = {table: number for table, number in known.rows.items() if number}
    views = Place(
        name="views, outbox, stored answers",
        left=sum(held.values()),
        proven=f"counted the rows of {len(known.rows)} tables" + "".join(f"; {n} in {t}" for t, n in held.items()),
        done=_done(known.steps.get("answers"), "stored answers"),
        done_at=known.erasure.noticed_at if known.erasure else None,
        by=erased_at + timedelta(seconds=bounds.VIEWS_S),
    )
    large_s = bounds.large_stores_s(settings.forgetting.rewrite_period_s)
    return (
        views,
        _files(known, SMALL_TABLES, erased_at, bounds.SMALL_STORES_S),
        _files(known, LARGE_TABLES, erased_at, large_s),
    )


def _files(known: _Known, store: str, erased_at: datetime, within_s: float) -> Place:
    """The files of a store are clean when it was rewritten after the last time something was forgotten."""
    rewrite, since = known.rewrites.get(store), _forgotten(known, store)
    clean = rewrite is not None and since is not None and rewrite.through > since
    return Place(
        name=f"files of {store}" if store != INDEX else "files of the search index",
        left=0 if clean else 1,
        proven="rewritten since" if clean else "not rewritten since",
        done="",
        done_at=rewrite.done_at if clean and rewrite else None,
        by=max(since or erased_at, erased_at) + timedelta(seconds=within_s),
    )


def _forgotten(known: _Known, store: str) -> datetime | None:
    """None before the erasure was taken up, and while documents of it wait to be written over."""
    if known.erasure is None:
        return None
    return known.erasure.unmarked_at if store == INDEX else known.erasure.forgot_at


def _outside(settings: Settings, job: ErasedJob, known: _Known, erased_at: datetime) -> tuple[Place, ...]:
    store, engine = ObjectStore(settings.objects), SearchEngine(settings.opensearch)
    try:
        large = index_is_large(engine)
        large_s = bounds.large_stores_s(settings.forgetting.rewrite_period_s)
        return (
            _objects(store, job, known, erased_at),
            _documents(engine, job, known, erased_at),
            _files(known, INDEX, erased_at, large_s if large else bounds.SMALL_STORES_S),
            _log_place(settings, job, known, erased_at),
        )
    finally:
        store.close()
        engine.close()


def _objects(store: ObjectStore, job: ErasedJob, known: _Known, erased_at: datetime) -> Place:
    prefix = f"{job.tenant_id}/{job.job_id}/"
    step = known.steps.get("objects")
    versions = list(store.kept_versions(prefix))
    return Place(
        name="objects",
        left=len({*store.keys(prefix), *(version["Key"] for version in versions)}) + len([*store.open_uploads(prefix)]),
        proven=f"listed the store{f': {len(versions)} versions and marks of deletion' if versions else ''}",
        done=step.detail if step else "",
        done_at=step.first_at if step else None,
        by=erased_at + timedelta(seconds=bounds.OBJECTS_S),
    )


def _documents(engine: SearchEngine, job: ErasedJob, known: _Known, erased_at: datetime) -> Place:
    step = known.steps.get("documents")
    return Place(
        name="search",
        left=len(shown(engine, job.job_id, job.tenant_id)),
        proven="asked the index for documents with content",
        done=_done(step, "documents written over once more"),
        done_at=step.first_at if step else None,
        by=erased_at + timedelta(seconds=bounds.VIEWS_S),
    )


def _log_place(settings: Settings, job: ErasedJob, known: _Known, erased_at: datetime) -> Place:
    found = _scanned(settings, job)
    step = known.steps.get("tombstones")
    bound_s = bounds.log_s(topic_settings(settings.kafka, TRANSCRIPTS), settings.forgetting.nudge_period_s)
    seen = f", {found.tombstones} tombstones at offsets {found.first} to {found.last}" if found.tombstones else ""
    return Place(
        name=TRANSCRIPTS,
        left=found.facts,
        proven=f"scanned partition {_partition(settings, job)}: {found.facts} earlier facts{seen}",
        done=f"tombstones repeated in {step.detail}" if step and step.detail else "",
        done_at=step.last_at if step else None,
        by=erased_at + timedelta(seconds=bound_s),
    )


def _partition(settings: Settings, job: ErasedJob) -> int:
    return partition_for(job.job_id.encode(), settings.kafka.partitions)


def _scanned(settings: Settings, job: ErasedJob) -> _Log:
    prefix, last_fact = f"{job.job_id}/".encode(), fact_key(job.job_id, job.seq)
    facts, places = 0, list[int]()
    for record in read_topic(settings.kafka, TRANSCRIPTS, _partition(settings, job)):
        key = record.key or b""
        if key.startswith(prefix) and key != last_fact:
            if record.value is None:
                places.append(record.offset)
            else:
                facts += 1
    return _Log(facts=facts, tombstones=len(places), first=min(places, default=None), last=max(places, default=None))


def _by_age(erased_at: datetime) -> tuple[Place, ...]:
    now = datetime.now(UTC)
    spans = (("working topics", bounds.WORKING_TOPICS_S), ("dead-letters", bounds.DEAD_LETTERS_S))
    return tuple(
        Place(
            name=name,
            left=int(now < by),
            proven="by age",
            done="",
            done_at=None,
            by=by,
            by_age=True,
        )
        for name, seconds in spans
        for by in (erased_at + timedelta(seconds=seconds),)
    )


def _done(step: Step | None, what: str) -> str:
    return f"{step.amount} {what}, {step.runs} looks" if step else ""
