"""`/v1/transcriptions/{id}/speakers`: who speaks, under what name.

In: HTTP. Out: speakers; naming one and merging two are requests with one outcome each.
"""

from typing import Annotated

from litestar import Response, Router, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter, JSONBody

from api import rendering
from api.accounts.callers import Caller
from api.commands import Asked, answer_of, granted, once, pending, respond, submit
from api.contract import problems
from api.jobs import known_job
from api.refusals import invalid
from api.requests.idempotency import Answer
from api.services import Services
from api.shapes import Speaker, SpeakerMerging, SpeakerNaming
from projections.history import queries as history
from projections.transcripts import queries as transcripts
from projections.transcripts.queries import SpeakerView
from runtime.errors import Refused
from runtime.postgres import borrowed
from schemas.records import SpeakerMergeSubmitted, SpeakerNameSubmitted
from schemas.topics import CORRECTIONS


@get("/", operation_id="listSpeakers", summary="Speakers of a recording", responses=problems("not_found", "gone"))
async def list_speakers(
    services: NamedDependency[Services], caller: NamedDependency[Caller], job_id: FromPath[str]
) -> tuple[Speaker, ...]:
    """Merged speakers are counted in the one that stays."""
    found = await _speakers(services, caller.tenant_id, job_id)
    return tuple(rendering.speaker(view) for view in found.values())


@put(
    "/{speaker_id:str}",
    operation_id="nameSpeaker",
    summary="Name a speaker",
    responses=problems("not_found", "gone", "conflict", "key_reused"),
)
async def name_speaker(  # noqa: PLR0913  # each is a part of the request
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    job_id: FromPath[str],
    speaker_id: FromPath[str],
    data: JSONBody[SpeakerNaming],
    idempotency_key: Annotated[str | None, HeaderParameter(name="Idempotency-Key")] = None,
) -> Response[Speaker]:
    """The name shows in transcripts, exports and search; null takes it away. Revisions of segments stay."""
    name = _name(data.name)

    async def work(identity: str) -> Answer:
        await _speaker(services, caller.tenant_id, job_id, speaker_id)
        asked = Asked(caller=caller, job_id=job_id, request_id=identity)
        record = SpeakerNameSubmitted(**asked.stamp(SpeakerNameSubmitted.__name__), speaker_id=speaker_id, name=name)
        if await submit(services, record, CORRECTIONS) is None:
            return pending(f"{rendering.job_path(job_id)}/speakers", asked)
        return answer_of(200, rendering.speaker(await _speaker(services, caller.tenant_id, job_id, speaker_id)))

    parts = ("name", job_id, speaker_id, name)
    return respond(await once(services, caller, idempotency_key, parts, work), Speaker)


@post(
    "/{speaker_id:str}/merge",
    status_code=200,
    operation_id="mergeSpeakers",
    summary="Say that two speakers are one",
    responses=problems("not_found", "gone", "conflict", "key_reused"),
)
async def merge_speakers(  # noqa: PLR0913  # each is a part of the request
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    job_id: FromPath[str],
    speaker_id: FromPath[str],
    data: JSONBody[SpeakerMerging],
    idempotency_key: Annotated[str | None, HeaderParameter(name="Idempotency-Key")] = None,
) -> Response[Speaker]:
    """Answers with the speaker that stays; segments of the other show it from now on."""

    async def work(identity: str) -> Answer:
        asked = Asked(caller=caller, job_id=job_id, request_id=identity)
        stamp = asked.stamp(SpeakerMergeSubmitted.__name__)
        there = await _speakers(services, caller.tenant_id, job_id)
        async with borrowed(services.connections) as conn:
            taken = granted(await history.outcome(conn, caller.tenant_id, stamp["event_id"]))
        if taken is None and not {speaker_id, data.into} <= there.keys():  # else this very request took one away
            raise _no_speaker()
        record = SpeakerMergeSubmitted(**stamp, speaker_id=speaker_id, into_speaker_id=data.into)
        if taken is None and await submit(services, record, CORRECTIONS) is None:
            return pending(f"{rendering.job_path(job_id)}/speakers", asked)
        return answer_of(200, rendering.speaker(await _speaker(services, caller.tenant_id, job_id, data.into)))

    if data.into == speaker_id:
        raise invalid("body", "into", "A speaker cannot be merged into itself.")
    parts = ("merge", job_id, speaker_id, data.into)
    return respond(await once(services, caller, idempotency_key, parts, work), Speaker)


def _name(name: str | None) -> str | None:
    if name is None:
        return None
    kept = " ".join(name.split())
    if not kept or not kept.isprintable():
        raise invalid("body", "name", "Must hold printable characters.")
    return kept


async def _speakers(services: Services, tenant_id: str, job_id: str) -> dict[str, SpeakerView]:
    async with borrowed(services.connections) as conn:
        await known_job(conn, tenant_id, job_id)
        return {view.speaker_id: view for view in await transcripts.speakers(conn, tenant_id, job_id)}


async def _speaker(services: Services, tenant_id: str, job_id: str, speaker_id: str) -> SpeakerView:
    found = (await _speakers(services, tenant_id, job_id)).get(speaker_id)
    if found is None:
        raise _no_speaker()
    return found


def _no_speaker() -> Refused:
    return Refused("not_found", "There is no such speaker.")


router = Router(
    "/transcriptions/{job_id:str}/speakers",
    route_handlers=[list_speakers, name_speaker, merge_speakers],
    tags=["speakers"],
)
