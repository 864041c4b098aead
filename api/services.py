"""What handlers need of the world, made once for each process and closed in reverse.

In: settings. Out: `Services` on the app's state, and background tasks that keep the connections alive.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from litestar import Litestar

from api.accounts.callers import Callers
from api.appender import Appender
from api.cursors import Cursors
from api.feeds import Feeds
from api.outcomes import Outcomes
from api.reach import Engines
from api.requests.idempotency import Idempotency
from runtime import postgres
from runtime.objects import ObjectStore, Patience
from runtime.opensearch import SearchEngine
from runtime.registry import Registry
from runtime.settings import Limits, Settings, SettingsError
from schemas.codec import Codec
from schemas.records import UploadReceived

POOL_CONNECTIONS = 16
UPLOADS_AT_ONCE = 32
# Each reads whole partitions of the log.
ARCHIVES_AT_ONCE = 2
# Blocking calls run in threads. More than uploads may hold, so that a slow object store cannot keep searches waiting.
THREADS = UPLOADS_AT_ONCE + 16
# A client gets its answer, or a clear refusal, while the engine behind it hangs: these are shorter than a worker's.
BORROWED_LIMIT_S = 8.0
SEARCH_TIMEOUT_S = 5.0
STORE_PATIENCE = Patience(connect_s=2, silence_s=8, tries=2)
# Shorter than the question may take as a whole: cancelled, the driver would ask a hanging server to end the query.
SELECT_LIMIT_S = 1.5
MIN_SECRET_CHARS = 16
RETRY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """One of each."""

    limits: Limits
    connections: postgres.Pool
    callers: Callers
    idempotency: Idempotency
    cursors: Cursors
    outcomes: Outcomes
    appender: Appender
    registry: Registry
    objects: ObjectStore
    search: SearchEngine
    engines: Engines
    uploads: asyncio.Semaphore
    archives: asyncio.Semaphore
    settings: Settings
    feeds: Feeds

    async def require_uploads(self) -> None:
        """Raises Unavailable where an upload could not be promised: to be asked before its body is taken in."""
        await self.engines.require("kafka", "postgres", "objects")
        await asyncio.to_thread(self.registry.id_of, UploadReceived.__name__)


def build(settings: Settings) -> Services:
    """Services that are not connected yet; raises SettingsError."""
    if len(settings.secret_key) < MIN_SECRET_CHARS:
        raise SettingsError(f"PALIMPSEST_SECRET_KEY must have at least {MIN_SECRET_CHARS} characters")
    connections = postgres.pool(settings.postgres_dsn, maximum=POOL_CONNECTIONS, limit_s=BORROWED_LIMIT_S)
    registry = Registry(settings.registry_url, wait=False)
    appender = Appender(settings.kafka, Codec(registry))
    objects = ObjectStore(settings.objects, STORE_PATIENCE)
    search = SearchEngine(settings.opensearch, SEARCH_TIMEOUT_S, retries=0)
    engines = Engines(
        {
            "kafka": appender.reachable,
            "registry": lambda: asyncio.to_thread(registry.reachable),
            "postgres": lambda: _selects(connections),
            "objects": lambda: asyncio.to_thread(objects.reachable),
            "search": lambda: asyncio.to_thread(search.reachable),
        }
    )
    return Services(
        limits=settings.limits,
        connections=connections,
        callers=Callers(connections, lambda: engines.require("postgres")),
        idempotency=Idempotency(connections),
        cursors=Cursors(settings.secret_key),
        outcomes=Outcomes(settings.postgres_dsn),
        appender=appender,
        registry=registry,
        objects=objects,
        search=search,
        engines=engines,
        uploads=asyncio.Semaphore(UPLOADS_AT_ONCE),
        archives=asyncio.Semaphore(ARCHIVES_AT_ONCE),
        settings=settings,
        feeds=Feeds(),
    )


async def _selects(connections: postgres.Pool) -> bool:
    async with postgres.borrowed(connections) as conn, postgres.cut_after(SELECT_LIMIT_S, conn):
        await conn.execute(b"SELECT 1")
    return True


async def _resolved(registry: Registry) -> None:
    """Looks up every schema id early, so that no request waits for it."""
    while True:
        try:
            await asyncio.to_thread(registry.resolve_all)
            return
        except Exception:  # whatever is wrong shows in /ready and in the first request; here we only try again
            await asyncio.sleep(RETRY_S)


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def lifespan(settings: Settings) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    """Makes the services for as long as the app runs. No outside system must be there for it to start."""

    @asynccontextmanager
    async def connected(app: Litestar) -> AsyncIterator[None]:
        services = build(settings)
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, thread_name_prefix="api"))
        async with AsyncExitStack() as stack:
            await services.connections.open(wait=False)
            stack.push_async_callback(services.connections.close)
            stack.push_async_callback(services.appender.close)
            for work in (
                services.appender.connect(),
                services.outcomes.run(),
                services.engines.watch(),
                _resolved(services.registry),
            ):
                await stack.enter_async_context(_running(work))
            app.state.services = services
            yield

    return connected
