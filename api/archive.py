"""`/v1/transcriptions/{id}/archive` and `/v1/archive`: everything held about a job, or about a tenant.

In: HTTP. Out: a zip that is made while it is sent. That reads whole partitions of the log: few are made at once.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath
from litestar.response import Stream

from api.accounts.callers import Caller
from api.contract import problems
from api.holdings import MEDIA_TYPE, Wanted, archive, of_tenant
from api.jobs import known_job
from api.services import STORE_PATIENCE, Services
from runtime.errors import Refused
from runtime.postgres import borrowed


async def _sent(services: Services, make: Callable[[], Iterator[bytes]]) -> AsyncIterator[bytes]:
    """The pieces, each made in a thread; the place is given back when the last is sent or the client is gone."""
    async with services.archives:
        pieces = make()
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            yield piece


async def _must_be_ready(services: Services) -> None:
    """What it is made of must be there: once the status is sent, all that is left to say is an answer that breaks."""
    await services.engines.require("kafka", "registry", "postgres", "objects")
    if services.archives.locked():
        raise Refused("busy", "As many archives as this server makes at once are being made.")


def _answer(services: Services, name: str, wanted: Wanted) -> Stream:
    headers = {"Content-Disposition": f'attachment; filename="{name}.zip"'}
    make = partial(archive, services.settings, wanted, STORE_PATIENCE)
    return Stream(_sent(services, make), media_type=MEDIA_TYPE, headers=headers)


@get(
    "/transcriptions/{job_id:str}/archive",
    operation_id="getArchive",
    summary="Everything held about a transcription",
    responses={
        200: ResponseSpec(bytes, media_type=MEDIA_TYPE, description="A zip"),
        **problems("not_found", "gone", "busy"),
    },
)
async def get_archive(
    services: NamedDependency[Services], caller: NamedDependency[Caller], job_id: FromPath[str]
) -> Stream:
    """Requests, facts in all versions with their authors, rows, the recording: as JSON and as it was handed in."""
    await _must_be_ready(services)
    async with borrowed(services.connections) as conn:
        await known_job(conn, caller.tenant_id, job_id)
    wanted = Wanted(tenant_id=caller.tenant_id, job_ids=(job_id,), whole_tenant=False)
    return _answer(services, job_id, wanted)


@get(
    "/archive",
    operation_id="getWholeArchive",
    summary="Everything held about a tenant",
    responses={200: ResponseSpec(bytes, media_type=MEDIA_TYPE, description="A zip"), **problems("busy")},
)
async def get_whole_archive(services: NamedDependency[Services], caller: NamedDependency[Caller]) -> Stream:
    """The same for all transcriptions of the tenant whose key it is, and for its keys and settings."""
    await _must_be_ready(services)
    wanted = await asyncio.to_thread(of_tenant, services.settings, caller.tenant_id)
    return _answer(services, caller.tenant_id, wanted)


router = Router("/", route_handlers=[get_archive, get_whole_archive], tags=["transcriptions"])
