"""Reads of the view `transcripts`.

In: an async connection, a tenant, a job. Out: frozen views with speakers resolved through names and merges.
Knows no HTTP. What belongs to another tenant is not there.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from projections.transcripts.speakers import SpeakerRow, Speakers
from projections.transcripts.views import (
    SegmentCursor,
    SegmentPage,
    SegmentView,
    SpeakerView,
    TranscriptCounts,
    TranscriptView,
)
from runtime.postgres import load_sql
from schemas.values import BaseSegment, Gap, Segment, Word

__all__ = [
    "SegmentCursor",
    "SegmentPage",
    "SegmentView",
    "SpeakerView",
    "TranscriptCounts",
    "TranscriptView",
    "base_segment",
    "counts_of",
    "segment",
    "segments",
    "speakers",
    "speakers_of",
    "whole",
]

Connection = AsyncConnection[Any]
_START = SegmentCursor(start_ms=-1, ordinal=-1, segment_id="")


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRow:
    """A segment as it is stored."""

    segment_id: str
    seq: int
    start_ms: int
    end_ms: int
    ordinal: int
    speaker_id: str | None
    language: str | None
    text: str
    confidence: float | None
    flags: tuple[str, ...]
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    duration_ms: int
    language: str | None
    gaps: tuple[Gap, ...]
    version: int


async def whole(conn: Connection, tenant_id: str, job_id: str) -> TranscriptView | None:
    """The transcript as it stands; None before it is complete, and for a job that is unknown or erased."""
    heads = await _rows(conn, "head", {"tenant_id": tenant_id, "job_id": job_id})
    if not heads:
        return None
    head = msgspec.convert(heads[0], _Head)
    voices = await _voices(conn, tenant_id, job_id)
    rows = await _segment_rows(conn, tenant_id, job_id, _START, None)
    return TranscriptView(
        job_id=job_id,
        language=head.language,
        duration_ms=head.duration_ms,
        version=head.version,
        speakers=voices.views(),
        segments=tuple(segment_view(row, voices) for row in rows),
        gaps=head.gaps,
    )


async def segments(
    conn: Connection,
    tenant_id: str,
    job_id: str,
    limit: int = 100,
    after: SegmentCursor | None = None,
) -> SegmentPage:
    """A page of segments in reading order."""
    voices = await _voices(conn, tenant_id, job_id)
    rows = await _segment_rows(conn, tenant_id, job_id, after or _START, limit + 1)
    page = rows[:limit]
    return SegmentPage(
        segments=tuple(segment_view(row, voices) for row in page),
        next=_cursor(page[-1]) if len(rows) > limit else None,
    )


async def segment(conn: Connection, tenant_id: str, job_id: str, segment_id: str) -> SegmentView | None:
    """One segment to show."""
    row = await _segment_row(conn, tenant_id, job_id, segment_id)
    if row is None:
        return None
    return segment_view(row, await _voices(conn, tenant_id, job_id))


async def base_segment(conn: Connection, tenant_id: str, job_id: str, segment_id: str) -> BaseSegment | None:
    """One segment as it is stored: what a correction starts from."""
    row = await _segment_row(conn, tenant_id, job_id, segment_id)
    if row is None:
        return None
    stored = Segment(
        segment_id=row.segment_id,
        start_ms=row.start_ms,
        end_ms=row.end_ms,
        speaker_id=row.speaker_id,
        language=row.language,
        text=row.text,
        confidence=row.confidence,
        flags=row.flags,
        words=row.words,
    )
    return BaseSegment(segment_id=row.segment_id, revision=row.seq, segment=stored)


async def speakers(conn: Connection, tenant_id: str, job_id: str) -> tuple[SpeakerView, ...]:
    """The speakers of a job as they stand."""
    return (await _voices(conn, tenant_id, job_id)).views()


async def speakers_of(conn: Connection, tenant_id: str, job_ids: Sequence[str]) -> Mapping[str, Speakers]:
    """The speakers of several jobs; a job without any has an empty entry."""
    params = {"tenant_id": tenant_id, "job_ids": list(job_ids)}
    by_job: dict[str, list[SpeakerRow]] = defaultdict(list)
    for row in await _rows(conn, "speakers", params):
        by_job[row["job_id"]].append(msgspec.convert(row, SpeakerRow))
    return {job_id: Speakers(by_job[job_id]) for job_id in job_ids}


async def counts_of(conn: Connection, tenant_id: str, job_ids: Sequence[str]) -> Mapping[str, TranscriptCounts]:
    """Segments and words of several jobs as they stand."""
    params = {"tenant_id": tenant_id, "job_ids": list(job_ids)}
    found = {
        row["job_id"]: TranscriptCounts(segments=int(row["segments"]), words=int(row["words"]))
        for row in await _rows(conn, "counts", params)
    }
    return {job_id: found.get(job_id, TranscriptCounts()) for job_id in job_ids}


def segment_view(row: SegmentRow, voices: Speakers) -> SegmentView:
    """A stored segment with its speakers resolved."""
    return SegmentView(
        segment_id=row.segment_id,
        revision=row.seq,
        start_ms=row.start_ms,
        end_ms=row.end_ms,
        text=row.text,
        speaker_id=voices.resolved(row.speaker_id),
        speaker=voices.display(row.speaker_id),
        language=row.language,
        confidence=row.confidence,
        flags=row.flags,
        words=voices.words(row.words),
    )


def _cursor(row: SegmentRow) -> SegmentCursor:
    return SegmentCursor(start_ms=row.start_ms, ordinal=row.ordinal, segment_id=row.segment_id)


async def _voices(conn: Connection, tenant_id: str, job_id: str) -> Speakers:
    return (await speakers_of(conn, tenant_id, [job_id]))[job_id]


async def _segment_row(conn: Connection, tenant_id: str, job_id: str, segment_id: str) -> SegmentRow | None:
    if "\x00" in segment_id:  # PostgreSQL refuses such a text, and no segment is called so
        return None
    params = {"tenant_id": tenant_id, "job_id": job_id, "segment_id": segment_id}
    found = await _rows(conn, "segment", params)
    return msgspec.convert(found[0], SegmentRow) if found else None


async def _segment_rows(
    conn: Connection,
    tenant_id: str,
    job_id: str,
    after: SegmentCursor,
    limit: int | None,
) -> list[SegmentRow]:
    params = {
        "tenant_id": tenant_id,
        "job_id": job_id,
        "start_ms": after.start_ms,
        "ordinal": after.ordinal,
        "segment_id": after.segment_id,
        "limit": limit,
    }
    return msgspec.convert(await _rows(conn, "segments", params), list[SegmentRow])


async def _rows(conn: Connection, name: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
    sql = load_sql("projections.transcripts")[name]
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(sql.encode(), params)
        return await cursor.fetchall()
