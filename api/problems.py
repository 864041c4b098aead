"""Every error as RFC 9457 `application/problem+json`.

In: any exception that left a handler, the router or the framework. Out: one response, with nothing of the inside in it.
This is the one place where errors become statuses; handlers never try.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from api.refusals import FieldError, Invalid, code_for_status, type_of
from api.tracing import request_id
from runtime.errors import ObjectMissing, ObjectWithheld, Refused, Unavailable
from runtime.telemetry import logger
from schemas.codec import RecordTooLarge

MEDIA_TYPE = "application/problem+json"
_NO_PAGE = "There is nothing at this address."
_BROKEN = "The request could not be carried out. The log knows why, under the request id."
_NAMED_FIELD = re.compile(r"(?:unknown|required) field `([^`]+)`")
_PASSED_ON = ("Allow", "Retry-After", "WWW-Authenticate")
_SERVER_ERROR = 500

log = logger(__name__)


class ProblemField(msgspec.Struct, frozen=True, rename={"place": "in"}):
    """One field that is wrong: `pointer` is a JSON pointer into the body, query, header or path that `in` names."""

    place: str
    pointer: str
    message: str


class Problem(msgspec.Struct, frozen=True):
    """An error: `type` leads to an explanation, `instance` is the request id."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    errors: tuple[ProblemField, ...] = ()


def _refused(error: Refused) -> tuple[str, str, Sequence[FieldError]]:
    return error.code, error.message, error.errors if isinstance(error, Invalid) else ()


def _fields(extra: Any) -> list[FieldError]:
    """Litestar's validation errors; for an unknown field its `key` is not the field, the message names it."""
    found = []
    for item in extra if isinstance(extra, list) else ():
        message = str(item.get("message", "invalid"))
        found.append(
            FieldError(
                place=getattr(item.get("source"), "value", "body"),
                pointer=_pointer(str(item.get("key", "")), message),
                message=message,
            )
        )
    return found


def _pointer(key: str, message: str) -> str:
    """A key as `data.a.b` or `limit`; the last part of a missing or unknown field stands only in the message."""
    parts = [part for part in key.removeprefix("data").split(".") if part]
    if named := _NAMED_FIELD.search(message):
        parts.append(named[1])
    return "".join(f"/{part}" for part in parts)


def _framework(error: HTTPException) -> tuple[str, str, Sequence[FieldError]]:
    code = code_for_status(error.status_code)
    if error.status_code >= _SERVER_ERROR:
        return code, _BROKEN, ()
    if code == "not_found":
        return code, _NO_PAGE, ()
    fields = _fields(error.extra)
    detail = fields[0].message if fields else type_of(code).explanation
    return code, detail, fields


def _classified(error: Exception) -> tuple[str, str, Sequence[FieldError]]:
    """Code, detail and fields of any exception: the table of domain errors."""
    match error:
        case Refused():
            return _refused(error)
        case HTTPException():
            return _framework(error)
        case Unavailable():
            return "unavailable", type_of("unavailable").explanation, ()
        case ObjectWithheld():
            return "unavailable", "The object store does not hand out these bytes; the operator can see why.", ()
        case ObjectMissing():
            return "gone", "The stored bytes are no longer there.", ()
        case RecursionError():
            return "invalid_request", "The body is nested too deeply.", ()
        case RecordTooLarge():
            return "too_large", "The request does not fit into one record of 500 kB.", ()
        case _:
            return "internal", _BROKEN, ()


def _headers(error: Exception, code: str) -> dict[str, str]:
    kind = type_of(code)
    headers = {}
    if kind.retry_after_s is not None:
        headers["Retry-After"] = str(kind.retry_after_s)
    if code == "not_authenticated":
        headers["WWW-Authenticate"] = 'Bearer realm="palimpsest"'
    given: Mapping[str, str] = getattr(error, "headers", None) or {}
    return headers | {name: value for name, value in given.items() if name.title() in _PASSED_ON}


def problem_response(_: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """The response to an exception; what is our fault is logged with its trace."""
    code, detail, fields = _classified(error)
    kind = type_of(code)
    if kind.status == _SERVER_ERROR:
        log.error("a request broke", action="request.broke", exc_info=error)
    elif isinstance(error, Unavailable | ObjectWithheld):
        log.warning("a dependency is away", action="request.unavailable", trouble=str(error))
    content = Problem(
        type=f"/problems/{kind.slug}",
        title=kind.title,
        status=kind.status,
        detail=detail,
        instance=request_id.get(),
        code=code,
        errors=tuple(ProblemField(place=f.place, pointer=f.pointer, message=f.message) for f in fields),
    )
    return Response(
        content,
        status_code=kind.status,
        media_type=MEDIA_TYPE,
        headers=_headers(error, code),
    )


HANDLERS: ExceptionHandlersMap = {Exception: problem_response, HTTPException: problem_response}
