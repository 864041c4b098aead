"""Search: the query that code builds, and the page that users get.

In: a tenant and what they typed. Out: hits with highlight and moment, and a cursor for the next page.
The tenant filter is a term on a keyword field and is always there; what a user typed is only ever the value of one
`simple_query_string` with few operators, never a part of the query's structure. Knows no HTTP.
"""

import asyncio
import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from projections.search.index import ALIAS
from projections.search.marks import CLOSED, OPENED, first_mark, marked_html, plain
from runtime.errors import Refused
from runtime.opensearch import SearchEngine

MAX_TEXT_CHARS = 500
MAX_WORDS = 60
MAX_LIMIT = 100
MAX_COUNTED_HITS = 10_000
ENGINE_TIMEOUT = "2s"
_FLAGS = "AND|OR|NOT|PHRASE|PREFIX|WHITESPACE"
_FIELDS = ("text^3", "text.cjk^2", "speaker")
_HIGHLIGHTED = ("text", "text.cjk", "text.exact")
_SORT: tuple[Mapping[str, str], ...] = (
    {"_score": "desc"},
    {"created_at": "desc"},
    {"job_id": "asc"},
    {"start_ms": "asc"},
    {"segment_id": "asc"},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """What a user asks. Words are joined by AND; "quoted" is a phrase, `jum*` a prefix, `|` or, `-` not.

    `speaker` is an id or a name; `from_ms` (inclusive) and `to_ms` (exclusive) bound the time a job was made;
    `as_you_type` also takes the last word as a prefix; an empty text finds everything the filters let through.
    """

    text: str
    job_id: str | None = None
    speaker: str | None = None
    language: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    limit: int = 20
    cursor: str | None = None
    as_you_type: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchHit:
    """A found segment; `moment_ms` is when the first found word is said, `highlight` is escaped HTML with <mark>."""

    job_id: str
    file_name: str | None
    segment_id: str
    start_ms: int
    end_ms: int
    moment_ms: int
    speaker_id: str | None
    speaker: str | None
    language: str | None
    text: str
    highlight: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPage:
    """A page of hits. Up to 10,000 hits are counted exactly; `next_cursor` is None on the last page."""

    total: int
    total_is_exact: bool
    hits: tuple[SearchHit, ...]
    next_cursor: str | None


async def search(engine: SearchEngine, tenant_id: str, request: SearchRequest) -> SearchPage:
    """One page of what the tenant's transcripts say; raises Refused for a text too long or a foreign cursor."""
    body = query_body(tenant_id, request)
    answer = await asyncio.to_thread(engine.search, ALIAS, body, tenant_id)
    return page(answer, _limit(request))


def query_body(tenant_id: str, request: SearchRequest) -> Mapping[str, Any]:
    """The engine's request."""
    text = plain(request.text).replace("\x00", " ").strip()
    if len(text) > MAX_TEXT_CHARS or len(text.split()) > MAX_WORDS:
        raise Refused("query_too_long", f"Search for at most {MAX_TEXT_CHARS} characters and {MAX_WORDS} words.")
    body: dict[str, Any] = {
        "size": _limit(request),
        "timeout": ENGINE_TIMEOUT,
        "track_total_hits": MAX_COUNTED_HITS,
        "track_scores": True,
        "query": {"bool": {"filter": _filters(tenant_id, request), "must": [_wanted(text, request.as_you_type)]}},
        "sort": list(_SORT),
        "highlight": _highlight(),
    }
    if request.cursor is not None:
        body["search_after"] = _sort_values(request.cursor)
    return body


def _limit(request: SearchRequest) -> int:
    return max(1, min(request.limit, MAX_LIMIT))


def _filters(tenant_id: str, request: SearchRequest) -> list[Mapping[str, Any]]:
    filters: list[Mapping[str, Any]] = [{"term": {"tenant_id": tenant_id}}, {"term": {"deleted": False}}]
    if request.job_id is not None:
        filters.append({"term": {"job_id": request.job_id}})
    if request.language is not None:
        filters.append({"term": {"language": request.language}})
    if request.speaker is not None:
        either = [{"term": {"speaker_id": request.speaker}}, {"term": {"speaker.name": plain(request.speaker)}}]
        filters.append({"bool": {"should": either, "minimum_should_match": 1}})
    bounds = {"gte": request.from_ms, "lt": request.to_ms}
    if bound := {name: value for name, value in bounds.items() if value is not None}:
        filters.append({"range": {"created_at": bound}})
    return filters


def _wanted(text: str, as_you_type: bool) -> Mapping[str, Any]:
    if not text:
        return {"match_all": {}}
    typed = _typed(text)
    if not as_you_type or not text[-1].isalnum():
        return typed
    return {"bool": {"should": [typed, _typed(text + "*")], "minimum_should_match": 1}}


def _typed(text: str) -> Mapping[str, Any]:
    settings = {
        "query": text,
        "fields": list(_FIELDS),
        "default_operator": "and",
        "flags": _FLAGS,
        "quote_field_suffix": ".exact",
        "analyze_wildcard": False,
        "lenient": True,
    }
    return {"simple_query_string": settings}


def _highlight() -> Mapping[str, Any]:
    return {
        "type": "unified",
        "number_of_fragments": 0,
        "pre_tags": [OPENED],
        "post_tags": [CLOSED],
        "fields": {field: {} for field in _HIGHLIGHTED},
    }


def page(answer: Mapping[str, Any], limit: int) -> SearchPage:
    """What the engine answered, as users get it."""
    found = answer["hits"]["hits"]
    total = answer["hits"]["total"]
    return SearchPage(
        total=total["value"],
        total_is_exact=total["relation"] == "eq",
        hits=tuple(_hit(each) for each in found),
        next_cursor=_cursor(found[-1]["sort"]) if len(found) == limit else None,
    )


def _hit(found: Mapping[str, Any]) -> SearchHit:
    source = found["_source"]
    marked = _marked(found.get("highlight", {}), source["text"])
    return SearchHit(
        job_id=source["job_id"],
        file_name=source["file_name"],
        segment_id=source["segment_id"],
        start_ms=source["start_ms"],
        end_ms=source["end_ms"],
        moment_ms=_moment_ms(source, first_mark(marked)),
        speaker_id=source["speaker_id"],
        speaker=source["speaker"],
        language=source["language"],
        text=source["text"],
        highlight=marked_html(marked),
    )


def _marked(highlights: Mapping[str, Sequence[str]], text: str) -> str:
    return next((highlights[field][0] for field in _HIGHLIGHTED if field in highlights), text)


def _moment_ms(source: Mapping[str, Any], first: int | None) -> int:
    """Start of the word that the first mark is in, else of the segment."""
    start_ms: int = source["start_ms"]
    if first is None:
        return start_ms
    starts = source["word_starts"]
    said = [ms for at, ms in zip(starts["at"], starts["ms"], strict=True) if at <= first]
    return said[-1] if said else start_ms


def _cursor(sort_values: Sequence[Any]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(sort_values)).decode().rstrip("=")


def _sort_values(cursor: str) -> Sequence[Any]:
    try:
        data = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        score, created_at, job_id, start_ms, segment_id = msgspec.json.decode(
            data, type=tuple[float, int, str, int, str]
        )
    except ValueError as error:  # msgspec's errors are ValueErrors too
        raise Refused("bad_cursor", "This cursor does not belong to a search.") from error
    return [score, created_at, job_id, start_ms, segment_id]
