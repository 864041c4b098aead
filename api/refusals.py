"""Why a request is not carried out: the one table of codes, with the status and title each has over HTTP.

In: a code, ours or the one the assembler wrote into `RequestRefused`. Out: its problem type.
Knows no web framework; `problems` renders what stands here, `/problems/{slug}` explains it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runtime.errors import Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemType:
    """One kind of problem; the title never varies, the explanation is for whoever follows `type`."""

    slug: str
    status: int
    title: str
    explanation: str
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """What is wrong with one field; `pointer` is a JSON pointer into the part of the request that `place` names."""

    place: str
    pointer: str
    message: str


class Invalid(Refused):
    """Fields of the request make no sense."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("invalid_request", errors[0].message)
        self.errors = tuple(errors)


def invalid(place: str, field: str, message: str) -> Invalid:
    """A refusal that names one field."""
    return Invalid([FieldError(place=place, pointer=f"/{field}", message=message)])


def _problem(
    status: int, code: str, title: str, explanation: str, retry_after_s: int | None = None
) -> tuple[str, ProblemType]:
    return code, ProblemType(
        slug=code.replace("_", "-"),
        status=status,
        title=title,
        explanation=explanation,
        retry_after_s=retry_after_s,
    )


# One line per code. Codes of the assembler's refusals stand here too: they reach clients through this table.
TYPES: Mapping[str, ProblemType] = dict(
    (
        _problem(
            400,
            "invalid_request",
            "The request is malformed",
            "A field is missing, unknown or out of its range; `errors` names it.",
        ),
        _problem(400, "bad_cursor", "The cursor is not valid here", "Start the list again without a cursor."),
        _problem(400, "query_too_long", "The query is too long", "`detail` names the limit."),
        _problem(
            401,
            "not_authenticated",
            "A valid API key is required",
            "Send `Authorization: Bearer pal_…`. The key may be mistyped, expired or revoked.",
        ),
        _problem(
            403, "forbidden", "The key may not do this", "The credential is valid and does not allow this operation."
        ),
        _problem(404, "not_found", "There is nothing here", "No such thing exists, or it belongs to another tenant."),
        _problem(
            405, "method_not_allowed", "The method is not allowed here", "`Allow` names the methods of this address."
        ),
        _problem(406, "not_acceptable", "No acceptable format", "None of the media types in `Accept` can be produced."),
        _problem(
            408,
            "upload_stalled",
            "The upload stalled",
            "No byte arrived for a while. Send it again; an Idempotency-Key makes that safe.",
        ),
        _problem(
            409,
            "conflict",
            "The state does not allow this",
            "The request makes sense, and the job's present state rules it out.",
        ),
        _problem(
            409,
            "key_in_flight",
            "The same request is still running",
            "Another request with this Idempotency-Key has not been answered yet.",
            1,
        ),
        _problem(410, "gone", "It was erased", "The job existed and was erased at its owner's wish."),
        _problem(
            412,
            "stale_revision",
            "It was changed meanwhile",
            "`If-Match` names another revision than the present one. Read it again and repeat the change.",
        ),
        _problem(413, "too_large", "The content is too large", "The limit is named in `detail`."),
        _problem(
            415,
            "unsupported_media_type",
            "The media type is not accepted",
            "Send multipart/form-data with a `file`, or the audio itself as the body.",
        ),
        _problem(
            422,
            "unprocessable",
            "It was understood and refused",
            "The request is well formed, and its content cannot be accepted.",
        ),
        _problem(422, "empty_upload", "The upload holds no bytes", "The file is empty."),
        _problem(
            422,
            "key_reused",
            "The key was used for another request",
            "An Idempotency-Key names one request; send another key with another body.",
        ),
        _problem(
            428,
            "precondition_required",
            "If-Match is required",
            "Send `If-Match` with the revision you saw, so that nobody's change is lost.",
        ),
        _problem(429, "too_many_requests", "Too many requests", "Wait as long as `Retry-After` says.", 5),
        _problem(500, "internal", "Something broke on our side", "The request id in `instance` finds it in the logs."),
        _problem(
            503,
            "unavailable",
            "A part of the service is away",
            "Try again in a moment; an Idempotency-Key makes that safe.",
            5,
        ),
        _problem(503, "busy", "Too many uploads at once", "Try again in a moment.", 5),
    )
)

# Finer codes, most of them the assembler's, and the kind of problem they are; the answer names the finer code too.
# Any other code is a conflict of state.
_KINDS: Mapping[str, str] = {
    "unknown_segment": "not_found",
    "unknown_speaker": "unprocessable",
    "empty_text": "unprocessable",
    "empty_base": "unprocessable",
    "invalid_name": "unprocessable",
    "invalid_rating": "unprocessable",
    "same_speaker": "unprocessable",
}

_BY_STATUS: Mapping[int, str] = {kind.status: code for code, kind in reversed(tuple(TYPES.items()))}


def code_for_status(status: int) -> str:
    """The general code of a status."""
    return _BY_STATUS.get(status, "internal" if status >= 500 else "invalid_request")


def type_of(code: str) -> ProblemType:
    """The problem type of a code."""
    return TYPES[code] if code in TYPES else TYPES[_KINDS.get(code, "conflict")]


def by_slug(slug: str) -> ProblemType | None:
    """The problem type that a `type` address names."""
    return TYPES.get(slug.replace("-", "_"))
