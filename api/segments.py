"""`/v1/transcriptions/{id}/segments`: read them page by page, correct one.

In: HTTP. Out: segments with their revision as ETag; a correction of exactly the revision that its author saw.
"""

import re
from typing import Annotated, Any

import msgspec
from litestar import Response, Router, get, patch
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter
from msgspec import UNSET

from api import rendering
from api.accounts.callers import Caller
from api.commands import Asked, answer_of, granted, once, pending, respond, submit
from api.contract import problems
from api.jobs import known_job
from api.refusals import invalid
from api.requests.idempotency import Answer
from api.services import Services
from api.shapes import Segment, SegmentEdit, SegmentPage
from projections.history import queries as history
from projections.transcripts import queries as transcripts
from projections.transcripts.queries import SegmentCursor
from runtime.errors import Refused
from runtime.postgres import AsyncConnection, borrowed
from schemas.records import CorrectionSubmitted
from schemas.topics import CORRECTIONS
from schemas.values import BaseSegment, ReplacementSegment

MAX_PAGE = 200
_ETAG = re.compile(r'"(\d{1,18})"')


@get(
    "/",
    operation_id="listSegments",
    summary="Segments in the order of the recording",
    responses=problems("not_found", "gone"),
)
async def list_segments(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    job_id: FromPath[str],
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_PAGE)] = 100,
    cursor: Annotated[str | None, QueryParameter()] = None,
) -> Response[SegmentPage]:
    """A page; `next_cursor` and the Link header lead to the next."""
    scope = f"segments/{job_id}"
    after = _position(services.cursors.read(caller.tenant_id, scope, cursor))
    async with borrowed(services.connections) as conn:
        await known_job(conn, caller.tenant_id, job_id)
        page = await transcripts.segments(conn, caller.tenant_id, job_id, limit=limit, after=after)
    items = tuple(rendering.segment(view) for view in page.segments)
    if page.next is None:
        return Response(SegmentPage(items=items, next_cursor=None))
    last = page.next
    token = services.cursors.write(caller.tenant_id, scope, (last.start_ms, last.ordinal, last.segment_id))
    link = f'<{rendering.job_path(job_id)}/segments?limit={limit}&cursor={token}>; rel="next"'
    return Response(SegmentPage(items=items, next_cursor=token), headers={"Link": link})


def _position(values: list[Any] | None) -> SegmentCursor | None:
    if values is None:
        return None
    return SegmentCursor(start_ms=values[0], ordinal=values[1], segment_id=values[2])


@get(
    "/{segment_id:str}",
    operation_id="getSegment",
    summary="One segment",
    responses=problems("not_found", "gone"),
)
async def get_segment(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    job_id: FromPath[str],
    segment_id: FromPath[str],
) -> Response[Segment]:
    """The segment as it stands; its ETag is its revision."""
    async with borrowed(services.connections) as conn:
        await known_job(conn, caller.tenant_id, job_id)
        segment = await _segment(conn, caller.tenant_id, job_id, segment_id)
    return Response(segment, headers={"ETag": f'"{segment.revision}"'})


async def _segment(conn: AsyncConnection, tenant_id: str, job_id: str, segment_id: str) -> Segment:
    view = await transcripts.segment(conn, tenant_id, job_id, segment_id)
    if view is None:
        raise Refused("not_found", "There is no such segment.")
    return rendering.segment(view)


@patch(
    "/{segment_id:str}",
    operation_id="correctSegment",
    summary="Correct a segment",
    responses=problems("not_found", "gone", "conflict", "stale_revision", "precondition_required", "key_reused"),
)
async def correct(  # noqa: PLR0913  # each is a part of the request
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    job_id: FromPath[str],
    segment_id: FromPath[str],
    data: JSONBody[SegmentEdit],
    if_match: Annotated[str | None, HeaderParameter(name="If-Match")] = None,
    idempotency_key: Annotated[str | None, HeaderParameter(name="Idempotency-Key")] = None,
) -> Response[Segment]:
    """Of many corrections of one revision exactly one takes effect; the others are told that theirs is stale."""
    tenant = caller.tenant_id

    async def work(identity: str) -> Answer:
        asked = Asked(caller=caller, job_id=job_id, request_id=identity)
        stamp = asked.stamp(CorrectionSubmitted.__name__)
        async with borrowed(services.connections) as conn:
            await known_job(conn, tenant, job_id)
            base = await transcripts.base_segment(conn, tenant, job_id, segment_id)
            taken = granted(await history.outcome(conn, tenant, stamp["event_id"]))
        if base is None:
            raise Refused("not_found", "There is no such segment.")
        if taken is None:  # else it is this very request that made the revision another
            _check_revision(if_match, base.revision)
        record = CorrectionSubmitted(**stamp, base=(base,), replacement=(_replacement(data, base),), note=data.note)
        if taken is None and await submit(services, record, CORRECTIONS) is None:
            return pending(f"{rendering.job_path(job_id)}/segments/{segment_id}", asked)
        async with borrowed(services.connections) as conn:
            segment = await _segment(conn, tenant, job_id, segment_id)
        return answer_of(200, segment, ETag=f'"{segment.revision}"')

    parts = ("correct", job_id, segment_id, msgspec.json.encode(data).decode(), if_match)
    return respond(await once(services, caller, idempotency_key, parts, work), Segment)


def _check_revision(if_match: str | None, revision: int) -> None:
    """RFC 9110: strong comparison, `*` for any; raises Refused."""
    if if_match is None:
        raise Refused("precondition_required", "Send If-Match with the segment's revision.")
    if if_match.strip() == "*":
        return
    tags = _ETAG.findall(re.sub(r'W/"[^"]*"', "", if_match))
    if str(revision) not in tags:
        raise Refused("stale_revision", f"The segment is at revision {revision}.")


def _replacement(edit: SegmentEdit, base: BaseSegment) -> ReplacementSegment:
    if edit.text is UNSET and edit.speaker_id is UNSET:
        raise invalid("body", "text", "Give a text, a speaker_id, or both.")
    text = base.segment.text if edit.text is UNSET else edit.text.strip()
    if not text:
        raise invalid("body", "text", "Must hold something other than spaces.")
    speaker = base.segment.speaker_id if edit.speaker_id is UNSET else edit.speaker_id
    return ReplacementSegment(text=text, speaker_id=speaker)


router = Router(
    "/transcriptions/{job_id:str}/segments",
    route_handlers=[list_segments, get_segment, correct],
    tags=["segments"],
)
