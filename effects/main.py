"""The process `effects`: loops over the views until SIGTERM. A sweep that runs then is given up; it may be repeated.
What such a sweep has begun in a thread, of an engine that hangs or is long at it, is not waited for without end.

In: settings from the environment. Out: effects in the world, `/healthz` and `/metrics`.
"""

import asyncio
import os
import signal
import threading

from effects.leadership import lead
from effects.schedule import run_all
from effects.world import World
from runtime import disk, faults, health, postgres, telemetry
from runtime.errors import Unavailable
from runtime.kafka import AsyncEventProducer
from runtime.objects import ObjectStore
from runtime.opensearch import SearchEngine
from runtime.registry import Registry
from runtime.settings import Settings
from runtime.stopping import end_after
from schemas.codec import Codec

PAUSE_S = 1.0
# What a sweep that was given up gets to come back.
GRACE_S = 10.0

log = telemetry.logger(__name__)


async def _connected(settings: Settings) -> AsyncEventProducer:
    """A producer, however long the broker takes."""
    while True:
        producer = AsyncEventProducer(settings.kafka)
        try:
            await producer.start()
            return producer
        except Unavailable as error:
            await producer.stop()
            log.warning("the broker is away", action="effects.wait", trouble=str(error))
            await asyncio.sleep(PAUSE_S)


async def run(settings: Settings, state: health.Health) -> None:
    """Sweeps until cancelled."""
    producer = await _connected(settings)
    try:
        async with postgres.pool(settings.postgres_dsn) as connections:
            world = World(
                settings=settings,
                kafka=settings.kafka,
                connections=connections,
                producer=producer,
                objects=ObjectStore(settings.objects),
                search=SearchEngine(settings.opensearch),
                retry_days=settings.limits.retry_days,
                forgetting=settings.forgetting,
                postgres_dsn=settings.postgres_dsn,
                codec=Codec(Registry(settings.registry_url)),
                stalled_after_s=settings.limits.stalled_after_s,
            )
            await lead(settings.postgres_dsn, lambda: run_all(world, state), state.ready)
    finally:
        await producer.stop()


async def serve(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT."""
    disk.watch({"temp": settings.temp_dir} | {folder.name: folder for folder in settings.watched_dirs})
    state = health.Health()
    server = health.serve(state, settings.health_port, settings.health_host)
    log.info("serves health", action="health.port", port=server.server_port)
    work = asyncio.create_task(run(settings, state))
    asked = threading.Event()
    end_after(asked, GRACE_S)

    def stop() -> None:
        asked.set()
        work.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        await work
    except asyncio.CancelledError:
        log.info("stopped", action="effects.stopped")
    finally:
        server.shutdown()


def main() -> None:
    """Serves until told to stop."""
    settings = Settings.read(os.environ)
    telemetry.configure("effects", settings.log_level)
    faults.arm("effects", settings.faults)
    with postgres.connection(settings.postgres_dsn, autocommit=True) as conn:
        postgres.check_schema(conn)
    asyncio.run(serve(settings))


if __name__ == "__main__":
    main()
