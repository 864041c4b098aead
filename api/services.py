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
from api.outcomes import Outcomes
from api.requests.idempotency import Idempotency
from runtime import postgres
from runtime.objects import ObjectStore
from runtime.opensearch import SearchEngine
from runtime.registry import Registry
from runtime.settings import Limits, Settings, SettingsError
from schemas.codec import Codec

POOL_CONNECTIONS = 16
UPLOADS_AT_ONCE = 32
# Blocking calls run in threads. More than uploads may hold, so that a slow object store cannot keep searches waiting.
THREADS = UPLOADS_AT_ONCE + 16
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
    uploads: asyncio.Semaphore


def build(settings: Settings) -> Services:
    """Services that are not connected yet; raises SettingsError."""
    if len(settings.secret_key) < MIN_SECRET_CHARS:
        raise SettingsError(f"PALIMPSEST_SECRET_KEY must have at least {MIN_SECRET_CHARS} characters")
    connections = postgres.pool(settings.postgres_dsn, maximum=POOL_CONNECTIONS)
    registry = Registry(settings.registry_url, wait=False)
    return Services(
        limits=settings.limits,
        connections=connections,
        callers=Callers(connections),
        idempotency=Idempotency(connections),
        cursors=Cursors(settings.secret_key),
        outcomes=Outcomes(settings.postgres_dsn),
        appender=Appender(settings.kafka, Codec(registry)),
        registry=registry,
        objects=ObjectStore(settings.objects),
        search=SearchEngine(settings.opensearch),
        uploads=asyncio.Semaphore(UPLOADS_AT_ONCE),
    )


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
            for work in (services.appender.connect(), services.outcomes.run(), _resolved(services.registry)):
                await stack.enter_async_context(_running(work))
            app.state.services = services
            yield

    return connected
