"""`cancel`, `retry`, `DELETE` and `feedback` of a transcription.

In: HTTP. Out: requests on `controls`, each with the outcome the assembler gives it.
"""

from collections.abc import Callable
from typing import Annotated

from litestar import Response, Router, delete, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, HeaderParameter, JSONBody

from api.accounts.callers import Caller
from api.commands import Asked, answer_of, once, pending, respond, submit
from api.contract import problems
from api.jobs import job_shape, known_job
from api.rendering import job_path
from api.requests.idempotency import Answer
from api.services import Services
from api.shapes import Accepted, Feedback, Job
from runtime.postgres import borrowed
from schemas.records import CancellationRequested, ControlRecord, ErasureRequested, FeedbackSubmitted, RetryRequested
from schemas.topics import CONTROLS

IdempotencyKey = Annotated[str | None, HeaderParameter(name="Idempotency-Key")]


async def _asked(services: Services, caller: Caller, job_id: str, identity: str) -> Asked:
    """A request about a job that the caller may know; NotFound or Gone otherwise."""
    async with borrowed(services.connections) as conn:
        await known_job(conn, caller.tenant_id, job_id)
    return Asked(caller=caller, job_id=job_id, request_id=identity)


async def _controlled(  # noqa: PLR0913  # each is a part of the request
    services: Services,
    caller: Caller,
    job_id: str,
    idempotency_key: str | None,
    parts: tuple[object, ...],
    record: Callable[[Asked], ControlRecord],
) -> Response[Job]:
    """The job after the request took effect, 202 with the job as it is while that is open."""

    async def work(identity: str) -> Answer:
        done = await submit(services, record(await _asked(services, caller, job_id, identity)), CONTROLS)
        async with borrowed(services.connections) as conn:
            job = await job_shape(conn, caller.tenant_id, job_id)
        return answer_of(200, job) if done else answer_of(202, job, Location=job_path(job_id), Retry_After="1")

    return respond(await once(services, caller, idempotency_key, parts, work), Job)


@post(
    "/cancel",
    status_code=200,
    operation_id="cancelTranscription",
    summary="Stop a transcription",
    responses=problems("not_found", "gone", "conflict", "key_reused"),
)
async def cancel(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    job_id: FromPath[str],
    idempotency_key: IdempotencyKey = None,
) -> Response[Job]:
    """Possible until the job has ended; 202 with the job when the outcome is not there yet."""

    def record(asked: Asked) -> ControlRecord:
        return CancellationRequested(**asked.stamp(CancellationRequested.__name__))

    return await _controlled(services, caller, job_id, idempotency_key, ("cancel", job_id), record)


@post(
    "/retry",
    status_code=200,
    operation_id="retryTranscription",
    summary="Run again what failed",
    responses=problems("not_found", "gone", "conflict", "key_reused"),
)
async def retry(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    job_id: FromPath[str],
    idempotency_key: IdempotencyKey = None,
) -> Response[Job]:
    """Only what failed runs again, with the original options; what exists is not touched."""

    def record(asked: Asked) -> ControlRecord:
        return RetryRequested(**asked.stamp(RetryRequested.__name__))

    return await _controlled(services, caller, job_id, idempotency_key, ("retry", job_id), record)


@post(
    "/feedback",
    status_code=200,
    operation_id="giveFeedback",
    summary="Judge a transcript",
    responses=problems("not_found", "gone", "conflict", "key_reused"),
)
async def feedback(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    job_id: FromPath[str],
    data: JSONBody[Feedback],
    idempotency_key: IdempotencyKey = None,
) -> Response[Job]:
    """A rating from 1 to 5 with a comment; it becomes part of the job's history."""

    def record(asked: Asked) -> ControlRecord:
        return FeedbackSubmitted(**asked.stamp(FeedbackSubmitted.__name__), rating=data.rating, comment=data.comment)

    parts = ("feedback", job_id, data.rating, data.comment)
    return await _controlled(services, caller, job_id, idempotency_key, parts, record)


@delete(
    "/",
    status_code=202,
    operation_id="eraseTranscription",
    summary="Forget a transcription",
    responses={**problems("not_found", "gone", "key_reused"), 204: ResponseSpec(None, description="Forgotten")},
)
async def erase(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    job_id: FromPath[str],
    idempotency_key: IdempotencyKey = None,
) -> Response[Accepted] | Response[None]:
    """Always possible; afterwards the job is gone from views and search, and its text and audio follow."""

    async def work(identity: str) -> Answer:
        asked = await _asked(services, caller, job_id, identity)
        done = await submit(services, ErasureRequested(**asked.stamp(ErasureRequested.__name__)), CONTROLS)
        return pending(job_path(job_id), asked) if done is None else Answer(status=204, headers={}, body=b"")

    answer = await once(services, caller, idempotency_key, ("erase", job_id), work)
    return Response(None, status_code=204) if answer.status == 204 else respond(answer, Accepted)


router = Router(
    "/transcriptions/{job_id:str}", route_handlers=[cancel, retry, feedback, erase], tags=["transcriptions"]
)
