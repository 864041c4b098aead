"""`cancel`, `retry`, `DELETE` and `feedback` of a transcription.

In: HTTP. Out: requests on `controls`, each with the outcome the assembler gives it.
"""

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


async def _controlled(services: Services, asked: Asked, record: ControlRecord) -> Answer:
    """The job after the request took effect, 202 with the job as it is while that is open."""
    tenant = asked.caller.tenant_id
    done = await submit(services, record, CONTROLS)
    async with borrowed(services.connections) as conn:
        job = await job_shape(conn, tenant, asked.job_id)
    where = job_path(asked.job_id)
    return answer_of(200, job) if done else answer_of(202, job, Location=where, Retry_After="1")


async def _check(services: Services, caller: Caller, job_id: str) -> None:
    async with borrowed(services.connections) as conn:
        await known_job(conn, caller.tenant_id, job_id)


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

    async def work(identity: str) -> Answer:
        await _check(services, caller, job_id)
        asked = Asked(caller=caller, job_id=job_id, request_id=identity)
        return await _controlled(services, asked, CancellationRequested(**asked.stamp(CancellationRequested.__name__)))

    return respond(await once(services, caller, idempotency_key, ("cancel", job_id), work), Job)


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

    async def work(identity: str) -> Answer:
        await _check(services, caller, job_id)
        asked = Asked(caller=caller, job_id=job_id, request_id=identity)
        return await _controlled(services, asked, RetryRequested(**asked.stamp(RetryRequested.__name__)))

    return respond(await once(services, caller, idempotency_key, ("retry", job_id), work), Job)


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

    async def work(identity: str) -> Answer:
        await _check(services, caller, job_id)
        asked = Asked(caller=caller, job_id=job_id, request_id=identity)
        stamp = asked.stamp(FeedbackSubmitted.__name__)
        return await _controlled(services, asked, FeedbackSubmitted(**stamp, rating=data.rating, comment=data.comment))

    parts = ("feedback", job_id, data.rating, data.comment)
    return respond(await once(services, caller, idempotency_key, parts, work), Job)


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
        await _check(services, caller, job_id)
        asked = Asked(caller=caller, job_id=job_id, request_id=identity)
        done = await submit(services, ErasureRequested(**asked.stamp(ErasureRequested.__name__)), CONTROLS)
        return pending(job_path(job_id), asked) if done is None else Answer(status=204, headers={}, body=b"")

    answer = await once(services, caller, idempotency_key, ("erase", job_id), work)
    return Response(None, status_code=204) if answer.status == 204 else respond(answer, Accepted)


router = Router(
    "/transcriptions/{job_id:str}", route_handlers=[cancel, retry, feedback, erase], tags=["transcriptions"]
)
