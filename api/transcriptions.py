"""`/v1/transcriptions`: hand in a recording, list jobs, look at one.

In: HTTP. Out: the promise of a job, pages of jobs, one job.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.openapi.spec import OpenAPIMediaType, Operation, Parameter, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import FromPath, HeaderParameter, QueryParameter

from api.accounts.callers import Caller
from api.commands import respond
from api.contract import problems
from api.intake.body import FORM, FORM_OVERHEAD_BYTES, FileBegins, Part, form_parts, pieces, raw_parts
from api.intake.names import clean_media_type, disposition_name
from api.intake.options import read_options
from api.intake.receiving import OTHER_FIELDS, Body, Intake, counted
from api.jobs import job_shape, page_of_jobs
from api.requests.idempotency import bare_key
from api.services import Services
from api.shapes import Job, JobPage, Status
from projections.jobs.queries import JobCursor
from runtime.errors import Refused
from runtime.postgres import borrowed

MAX_PAGE = 200
_NOT_A_MEDIA_TYPE = "application/x-www-form-urlencoded"  # what curl says when it was told nothing

Fields = list[tuple[str, str]]


def _schema(kind: OpenAPIType, text: str) -> Schema:
    return Schema(type=kind, description=text)


_OPTIONS = {
    "language": _schema(OpenAPIType.STRING, "Language code, for instance en; detected where it is left out."),
    "languages": _schema(OpenAPIType.STRING, "Codes of the languages that may be spoken, separated by commas."),
    "task": _schema(OpenAPIType.STRING, "transcribe, or translate: write in English what was said."),
    "quality": _schema(OpenAPIType.STRING, "draft, balanced or accurate; balanced where it is left out."),
    "diarize": _schema(OpenAPIType.BOOLEAN, "Whether to tell speakers apart; true where it is left out."),
    "num_speakers": _schema(OpenAPIType.INTEGER, "How many people speak, 1 to 32."),
    "min_speakers": _schema(OpenAPIType.INTEGER, "The least number of speakers."),
    "max_speakers": _schema(OpenAPIType.INTEGER, "The greatest number of speakers."),
    "vocabulary": _schema(OpenAPIType.STRING, "Terms to expect, separated by commas; may be repeated."),
    "prompt": _schema(OpenAPIType.STRING, "Text that might have come before: it sets subject, spelling and style."),
    "file_name": _schema(OpenAPIType.STRING, "The recording's name."),
}
_FILE = Schema(type=OpenAPIType.STRING, content_media_type="application/octet-stream", description="The recording.")


@dataclass
class UploadOperation(Operation):
    """The body is streamed, so the framework cannot see its shape: it is written down here."""

    def __post_init__(self) -> None:
        form = Schema(type=OpenAPIType.OBJECT, properties={"file": _FILE, **_OPTIONS}, required=["file"])
        self.request_body = RequestBody(
            content={
                FORM: OpenAPIMediaType(schema=form),
                "application/octet-stream": OpenAPIMediaType(schema=_FILE),
            },
            description="A form, or the recording itself with the options as query parameters.",
            required=True,
        )
        named = [Parameter(name=n, param_in="query", required=False, schema=s) for n, s in _OPTIONS.items()]
        self.parameters = [*(self.parameters or ()), *named]


def _check_length(request: Request[Any, Any, Any], limit: int) -> None:
    """Refuses before the first byte where the client says how much it will send."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise Refused("too_large", f"A recording may have {limit} bytes.")


def _raw(request: Request[Any, Any, Any], fields: Fields, limit: int) -> AsyncIterator[Part]:
    _check_length(request, limit)
    read_options(fields, "query", OTHER_FIELDS)
    media_type = clean_media_type(request.headers.get("content-type"))
    begins = FileBegins(
        file_name=disposition_name(request.headers.get("content-disposition")),
        media_type=media_type if media_type != _NOT_A_MEDIA_TYPE else None,
    )
    return raw_parts(pieces(request.receive), begins)


def _form(request: Request[Any, Any, Any], content_type: str, limit: int) -> AsyncIterator[Part]:
    _check_length(request, limit + FORM_OVERHEAD_BYTES)
    return form_parts(pieces(request.receive), content_type)


@post(
    "/",
    status_code=202,
    request_max_body_size=None,
    operation_class=UploadOperation,
    operation_id="createTranscription",
    summary="Hand in a recording",
    responses=problems("key_in_flight", "too_large", "unprocessable", "gone", "upload_stalled"),
)
async def create(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    idempotency_key: Annotated[str | None, HeaderParameter(name="Idempotency-Key")] = None,
) -> Response[Job]:
    """Streams the recording into the object store and promises a job. The same Idempotency-Key names the same job."""
    key, limit = bare_key(idempotency_key), services.limits.max_upload_bytes
    fields: Fields = list(request.query_params.multi_items())
    content_type = request.headers.get("content-type", "")
    is_form = content_type.lower().startswith(FORM)
    with counted():
        parts = _form(request, content_type, limit) if is_form else _raw(request, fields, limit)
        body = Body(parts=parts, fields=fields, place="body" if is_form else "query")
        answer = await Intake(services, caller, body).answer(key)
    return respond(answer, Job)


@get(
    "/",
    operation_id="listTranscriptions",
    summary="List transcriptions, newest first",
    responses=problems(),
)
async def list_jobs(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_PAGE)] = 50,
    cursor: Annotated[str | None, QueryParameter()] = None,
    status: Annotated[Status | None, QueryParameter()] = None,
) -> Response[JobPage]:
    """A page; `next_cursor` and the Link header lead to the next."""
    scope = f"jobs/{status}"
    after = _position(services.cursors.read(caller.tenant_id, scope, cursor))
    async with borrowed(services.connections) as conn:
        items, last = await page_of_jobs(conn, caller.tenant_id, limit, after, status)
    if last is None:
        return Response(JobPage(items=items, next_cursor=None))
    token = services.cursors.write(caller.tenant_id, scope, (last.created_at_ms, last.job_id))
    wanted = f"&status={status}" if status else ""
    link = f'</v1/transcriptions?limit={limit}&cursor={token}{wanted}>; rel="next"'
    return Response(JobPage(items=items, next_cursor=token), headers={"Link": link})


def _position(values: list[Any] | None) -> JobCursor | None:
    return None if values is None else JobCursor(created_at_ms=values[0], job_id=values[1])


@get(
    "/{job_id:str}",
    operation_id="getTranscription",
    summary="One transcription and how far it is",
    responses=problems("not_found", "gone"),
)
async def get_job(
    services: NamedDependency[Services], caller: NamedDependency[Caller], job_id: FromPath[str]
) -> Response[Job]:
    """The job; while it runs, Retry-After says when to look again."""
    async with borrowed(services.connections) as conn:
        job = await job_shape(conn, caller.tenant_id, job_id)
    headers = {"ETag": f'W/"{job.version}"'}
    if job.status in ("queued", "processing"):
        headers["Retry-After"] = "2"
    return Response(job, headers=headers)


router = Router("/transcriptions", route_handlers=[create, list_jobs, get_job], tags=["transcriptions"])
