"""`/health`, `/ready` and `/metrics`: for whoever runs this.

In: nothing. Out: whether the process lives, which of its dependencies answers, its metrics. No credential is asked.
"""

import asyncio
from collections.abc import Awaitable, Callable

from litestar import Response, Router, get
from litestar.di import NamedDependency
from msgspec import Struct
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from api.services import Services
from runtime.errors import ObjectMissing
from runtime.postgres import borrowed

CHECK_TIMEOUT_S = 3.0
_PROBE_KEY = "_probe"


class Alive(Struct, frozen=True):
    """The process answers."""

    status: str


class Readiness(Struct, frozen=True):
    """Each dependency: true where it answers now."""

    ready: bool
    kafka: bool
    registry: bool
    postgres: bool
    objects: bool
    search: bool
    outcomes: bool


@get("/health", operation_id="health", summary="Whether the process lives")
async def health() -> Alive:
    """Always 200 while the process answers."""
    return Alive(status="alive")


@get("/ready", operation_id="ready", summary="Whether everything it needs answers")
async def ready(services: NamedDependency[Services]) -> Response[Readiness]:
    """503 with the names of what is away."""
    kafka, registry, postgres, objects, search = await asyncio.gather(
        _answers(services.appender.reachable),
        _answers(lambda: asyncio.to_thread(_registry, services)),
        _answers(lambda: _postgres(services)),
        _answers(lambda: asyncio.to_thread(_objects, services)),
        _answers(lambda: asyncio.to_thread(services.search.reachable)),
    )
    outcomes = services.outcomes.connected
    everything = all((kafka, registry, postgres, objects, search, outcomes))
    body = Readiness(
        ready=everything,
        kafka=kafka,
        registry=registry,
        postgres=postgres,
        objects=objects,
        search=search,
        outcomes=outcomes,
    )
    return Response(body, status_code=200 if everything else 503)


async def _answers(check: Callable[[], Awaitable[bool]]) -> bool:
    """Any failure is an answer here: it is not ready."""
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            return await check()
    except Exception:  # what is wrong is for the log of whoever needs it; this only says that it is away
        return False


async def _postgres(services: Services) -> bool:
    async with borrowed(services.connections) as conn:
        await conn.execute(b"SELECT 1")
    return True


def _registry(services: Services) -> bool:
    return services.registry.reachable()


def _objects(services: Services) -> bool:
    try:
        services.objects.size(_PROBE_KEY)
    except ObjectMissing:
        return True
    return True


@get("/metrics", include_in_schema=False, sync_to_thread=False)
def metrics() -> Response[bytes]:
    """Prometheus metrics of this process."""
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)


router = Router("/", route_handlers=[health, ready, metrics], tags=["service"])
