"""Search documents: one segment as it is found and shown.

In: a segment's row, the speakers of its job, and what the job is. Out: a document, whole, with its version.
The version is the greatest seq of the segment's, its job's and all its speakers' rows: a document that is built later
never has a lesser one, in whatever order facts arrive. A removed or erased segment becomes a
document without content that says so, because the engine forgets the versions of deleted documents.
Knows no engine and no database.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from projections.search.marks import plain
from projections.transcripts.places import word_places
from projections.transcripts.speakers import Speakers
from schemas.values import Word


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A marked segment with its job, as `search/queries.sql` reads them; None where there is no such row."""

    job_id: str
    segment_id: str
    mark: int
    tenant_id: str | None
    seq: int | None
    removed: bool | None
    start_ms: int | None
    end_ms: int | None
    speaker_id: str | None
    language: str | None
    text: str | None
    words: tuple[Word, ...] | None
    job_seq: int | None
    created_at: int | None
    file_name: str | None
    erased_seq: int | None
    erased_tenant_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentDocument:
    """One document of the index; routed by tenant."""

    id: str
    version: int
    tenant_id: str
    body: Mapping[str, Any]


def document(source: Source, speakers: Speakers) -> SegmentDocument | None:
    """The document of a marked segment; None when neither it nor an erasure of its job is there."""
    if source.tenant_id is not None and source.seq is not None:
        version = max(source.seq, source.job_seq or 0, speakers.version)
        if source.removed:
            return _gone(source, source.tenant_id, version)
        return _whole(source, source.tenant_id, version, speakers)
    if source.erased_tenant_id is not None and source.erased_seq is not None:
        return _gone(source, source.erased_tenant_id, source.erased_seq)
    return None


def emptied(document: SegmentDocument) -> SegmentDocument:
    """The same without content: what is shown of a segment that cannot be indexed is nothing, not an old text."""
    kept = {name: document.body[name] for name in ("tenant_id", "job_id", "segment_id")}
    return replace(document, body=kept | {"deleted": True})


def _whole(source: Source, tenant_id: str, version: int, speakers: Speakers) -> SegmentDocument:
    text = plain(source.text or "")
    speaker = speakers.display(source.speaker_id)
    places = [(at, word.start_ms) for at, word in word_places(text, source.words or ()) if word.start_ms is not None]
    body = {
        **_names(source, tenant_id),
        "deleted": False,
        "created_at": source.created_at,
        "file_name": plain(source.file_name) if source.file_name is not None else None,
        "start_ms": source.start_ms,
        "end_ms": source.end_ms,
        "speaker_id": speakers.resolved(source.speaker_id),
        "speaker": plain(speaker) if speaker is not None else None,
        "language": source.language,
        "text": text,
        "word_starts": {"at": [at for at, _ in places], "ms": [start_ms for _, start_ms in places]},
    }
    return _document(source, tenant_id, version, body)


def _gone(source: Source, tenant_id: str, version: int) -> SegmentDocument:
    return _document(source, tenant_id, version, _names(source, tenant_id) | {"deleted": True})


def _names(source: Source, tenant_id: str) -> dict[str, Any]:
    return {"tenant_id": tenant_id, "job_id": source.job_id, "segment_id": source.segment_id}


def _document(source: Source, tenant_id: str, version: int, body: Mapping[str, Any]) -> SegmentDocument:
    return SegmentDocument(id=f"{source.job_id}/{source.segment_id}", version=version, tenant_id=tenant_id, body=body)
