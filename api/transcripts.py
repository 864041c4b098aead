"""`/v1/transcriptions/{id}/transcript`: the whole transcript in any format.

In: a job id, `?format=` or `Accept`. Out: the transcript rendered from the view as it stands now, names and corrections
included; no format is ever made by running the job again.
"""

from pathlib import PurePath
from typing import Annotated, Any, Literal
from urllib.parse import quote

from litestar import Request, Response, Router, get
from litestar.datastructures.headers import Accept
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from api.accounts.callers import Caller
from api.contract import problems
from api.jobs import known_job
from api.services import Services
from projections.exports import FORMATS, Format
from projections.jobs.queries import JobView
from projections.transcripts import queries as transcripts
from runtime.errors import Refused
from runtime.postgres import borrowed

Wanted = Literal["json", "srt", "vtt", "txt"]
DEFAULT = "json"
MAX_STEM_CHARS = 150


@get(
    "/",
    operation_id="getTranscript",
    summary="The whole transcript",
    responses=problems("not_found", "gone", "conflict", "not_acceptable"),
)
async def get_transcript(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    job_id: FromPath[str],
    format: Annotated[Wanted | None, QueryParameter()] = None,
) -> Response[str]:
    """As JSON, SubRip, WebVTT or plain text, by `format` or by `Accept`."""
    chosen = FORMATS[format] if format else negotiated(request.headers.get("accept"))
    async with borrowed(services.connections) as conn:
        job = await known_job(conn, caller.tenant_id, job_id)
        view = await transcripts.whole(conn, caller.tenant_id, job_id)
    if job is None or view is None:
        raise Refused("no_transcript", f"There is no transcript: the job is {job.status if job else 'queued'}.")
    headers = {
        "Content-Disposition": disposition(_stem(job), chosen.extension),
        "ETag": f'"{view.version}-{chosen.name}"',
        "Vary": "Accept",
    }
    return Response(chosen.render(view), media_type=chosen.media_type, headers=headers)


def negotiated(accept: str | None) -> Format:
    """The format that an Accept header likes best; raises Refused where it likes none."""
    if not accept:
        return FORMATS[DEFAULT]
    by_type = {each.media_type.partition(";")[0]: each for each in FORMATS.values()}
    best = Accept(accept).best_match(list(by_type))
    if best is None:
        raise Refused("not_acceptable", f"Transcripts are made as {', '.join(by_type)}.")
    return by_type[best]


def _stem(job: JobView) -> str:
    return PurePath(job.file_name or job.job_id).stem[:MAX_STEM_CHARS] or job.job_id


def disposition(stem: str, extension: str) -> str:
    """A Content-Disposition whose name any client understands (RFC 6266)."""
    name = f"{stem}.{extension}"
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


router = Router("/transcriptions/{job_id:str}/transcript", route_handlers=[get_transcript], tags=["transcripts"])
