"""`/v1/search`: find the moment something was said.

In: words and filters. Out: segments with highlight and moment, only of the caller's tenant.
"""

from datetime import UTC, datetime
from typing import Annotated

from litestar import Response, Router, get
from litestar.di import NamedDependency, Provide
from litestar.params import QueryParameter
from msgspec import Struct

from api.accounts.callers import Caller
from api.contract import problems
from api.refusals import invalid
from api.rendering import seconds
from api.services import Services
from api.shapes import SearchHit, SearchPage
from projections.search import queries

MAX_PAGE = 100
MAX_QUERY_CHARS = 1_000
MAX_FILTER_CHARS = 200

Filter = Annotated[str | None, QueryParameter(max_length=MAX_FILTER_CHARS)]


class Wanted(Struct, frozen=True):
    """What is looked for, apart from the page."""

    q: str
    job: str | None
    speaker: str | None
    language: str | None
    from_ms: int | None
    to_ms: int | None
    as_you_type: bool


async def _wanted(  # noqa: PLR0913  # each is a parameter of the query
    q: Annotated[str, QueryParameter(max_length=MAX_QUERY_CHARS)] = "",
    job: Filter = None,
    speaker: Filter = None,
    language: Filter = None,
    from_: Annotated[str | None, QueryParameter(name="from", max_length=40)] = None,
    to: Annotated[str | None, QueryParameter(max_length=40)] = None,
    as_you_type: Annotated[bool, QueryParameter()] = False,
) -> Wanted:
    return Wanted(
        q=q,
        job=job,
        speaker=speaker,
        language=language,
        from_ms=_ms("from", from_),
        to_ms=_ms("to", to),
        as_you_type=as_you_type,
    )


def _ms(name: str, text: str | None) -> int | None:
    """A date or a point in time, UTC where it names no zone."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError as error:
        raise invalid("query", name, "Must be a date or a time as in 2026-05-01 or 2026-05-01T10:00:00Z.") from error
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def _hit(found: queries.SearchHit) -> SearchHit:
    return SearchHit(
        job_id=found.job_id,
        file_name=found.file_name,
        segment_id=found.segment_id,
        start=seconds(found.start_ms),
        end=seconds(found.end_ms),
        moment=seconds(found.moment_ms),
        speaker_id=found.speaker_id,
        speaker=found.speaker,
        language=found.language,
        text=found.text,
        highlight=found.highlight,
    )


@get("/", operation_id="search", summary="Search all transcripts", responses=problems())
async def search(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    wanted: NamedDependency[Wanted],
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_PAGE)] = 20,
    cursor: Annotated[str | None, QueryParameter()] = None,
) -> Response[SearchPage]:
    """Words are joined by AND; "quoted words" are a phrase, `jum*` is a prefix, `|` means or, `-` means not.

    With `as_you_type` the last word is a beginning.
    """
    scope = f"search/{wanted!r}"
    place = services.cursors.read(caller.tenant_id, scope, cursor)
    asked = queries.SearchRequest(
        text=wanted.q,
        job_id=wanted.job,
        speaker=wanted.speaker,
        language=wanted.language,
        from_ms=wanted.from_ms,
        to_ms=wanted.to_ms,
        limit=limit,
        cursor=None if place is None else str(place[0]),
        as_you_type=wanted.as_you_type,
    )
    found = await queries.search(services.search, caller.tenant_id, asked)
    token = services.cursors.write(caller.tenant_id, scope, (found.next_cursor,)) if found.next_cursor else None
    page = SearchPage(
        total=found.total,
        total_is_exact=found.total_is_exact,
        items=tuple(_hit(hit) for hit in found.hits),
        next_cursor=token,
    )
    return Response(page)


router = Router("/search", route_handlers=[search], tags=["search"], dependencies={"wanted": Provide(_wanted)})
