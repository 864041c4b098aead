"""`/health`, `/ready` and `/metrics`: for whoever runs this.

In: nothing. Out: whether the process lives, which of its dependencies answers, its metrics. No credential is asked.
"""

from litestar import Response, Router, get
from litestar.di import NamedDependency
from msgspec import Struct
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from api.services import Services


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
    there = await services.engines.answers()
    outcomes = services.outcomes.connected
    body = Readiness(ready=all(there.values()) and outcomes, outcomes=outcomes, **there)
    return Response(body, status_code=200 if body.ready else 503)


@get("/metrics", include_in_schema=False, sync_to_thread=False)
def metrics() -> Response[bytes]:
    """Prometheus metrics of this process."""
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)


router = Router("/", route_handlers=[health, ready, metrics], tags=["service"])
