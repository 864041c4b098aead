"""The application: routes, errors, metrics and description, put together.

In: settings. Out: an ASGI app. Importing it does nothing.
"""

from typing import cast

from litestar import Litestar, Router
from litestar.plugins.prometheus import PrometheusConfig

from api import (
    archive,
    controls,
    documentation,
    events,
    search,
    segments,
    service,
    speakers,
    transcriptions,
    transcripts,
)
from api.accounts.callers import authenticated
from api.addresses import nameable
from api.dependencies import CALLER, SERVICES
from api.problems import HANDLERS
from api.services import lifespan
from api.tracing import App, Traced
from runtime.settings import Settings

MAX_JSON_BYTES = 1_000_000


def create_litestar(settings: Settings) -> Litestar:
    """The routes, without what surrounds every request."""
    v1 = Router(
        "/v1",
        route_handlers=[
            transcriptions.router,
            controls.router,
            transcripts.router,
            segments.router,
            speakers.router,
            events.router,
            search.router,
            archive.router,
        ],
        guards=[authenticated, nameable],
        dependencies=CALLER,
        security=documentation.SECURITY,
    )
    metrics = PrometheusConfig(app_name="api", prefix="palimpsest_http", group_path=True, exclude=["^/metrics$"])
    return Litestar(
        route_handlers=[v1, service.router, documentation.router],
        lifespan=[lifespan(settings)],
        dependencies=SERVICES,
        exception_handlers=HANDLERS,
        middleware=[metrics.middleware],
        openapi_config=documentation.OPENAPI,
        request_max_body_size=MAX_JSON_BYTES,
        logging_config=None,
    )


def create_app(settings: Settings) -> Traced:
    """The whole app, for a server."""
    return Traced(cast(App, create_litestar(settings)))
