"""Documents that the search engine refuses for good, so that one of them does not hold up the others.

In: documents for one version of the index. Out: all others written; in place of a refused one, a document without
content, so that nothing stale is found; and rows of `search_refused`, which are tried again when a projector starts
and whenever the segment is marked. Why something is refused is named by the engine's kind of error alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from projections.rebuilding.indexes import SEARCH
from projections.rebuilding.versions import run
from projections.search.documents import SegmentDocument, emptied
from projections.search.sources import outgoing
from runtime.errors import Unavailable
from runtime.faults import crash_point
from runtime.opensearch import Refusal, SearchEngine
from runtime.postgres import Connection
from runtime.telemetry import documents_refused, logger

log = logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A document that was not taken, and the engine's kind of error."""

    document: SegmentDocument
    reason: str


def write_documents(engine: SearchEngine, alias: str, bulk: Sequence[SegmentDocument]) -> list[Refused]:
    """Writes them; those that are refused without their content. Raises Unavailable where even that is not taken."""
    by_id = {each.id: each for each in bulk}
    answers = _write(engine, alias, bulk)
    refused = [Refused(document=by_id[answer.id], reason=answer.reason) for answer in answers]
    if refused and _write(engine, alias, [emptied(each.document) for each in refused]):
        raise Unavailable(f"OpenSearch: {refused[0].reason}, whatever the document")
    return refused


def _write(engine: SearchEngine, alias: str, documents: Sequence[SegmentDocument]) -> Sequence[Refusal]:
    with crash_point("documents.write"):
        return engine.write(alias, [outgoing(each) for each in documents])


def note(conn: Connection, version: int, made: Sequence[SegmentDocument], refused: Sequence[Refused]) -> None:
    """Remembers what of these documents was refused, and forgets what was taken; the version must be there."""
    run(conn, "forget_refused", projection=SEARCH, version=version, **_names(made))
    if not refused:
        return
    reasons = [each.reason for each in refused]
    names = _names([each.document for each in refused])
    run(conn, "note_refused", projection=SEARCH, version=version, reasons=reasons, **names)
    documents_refused.inc(len(refused))
    for each in refused:
        log.error(
            "the search engine refuses a segment",
            action="document.refused",
            document=each.document.id,
            version=version,
            reason=each.reason,
        )


def try_again(conn: Connection, partitions: frozenset[int]) -> None:
    """Marks every refused segment, for whoever indexes these partitions: who does it makes no difference."""
    run(conn, "mark_refused", partition=min(partitions))


def _names(documents: Sequence[SegmentDocument]) -> dict[str, list[str]]:
    return {
        "job_ids": [each.body["job_id"] for each in documents],
        "segment_ids": [each.body["segment_id"] for each in documents],
    }
