"""A world of one's own for sweeps."""

from collections.abc import AsyncIterator, Mapping

import pytest

from effects.world import World
from runtime import postgres
from runtime.kafka import AsyncEventProducer
from runtime.objects import ObjectStore
from runtime.opensearch import SearchEngine
from runtime.registry import Registry
from runtime.settings import Settings
from schemas.codec import Codec


@pytest.fixture
def settings(workspace: Mapping[str, str]) -> Settings:
    """The workspace's settings."""
    return Settings.read(workspace)


@pytest.fixture
async def world(settings: Settings) -> AsyncIterator[World]:
    """Clients of the workspace's engines."""
    producer = AsyncEventProducer(settings.kafka)
    await producer.start()
    objects = ObjectStore(settings.objects)
    try:
        async with postgres.pool(settings.postgres_dsn) as connections:
            yield World(
                settings=settings,
                kafka=settings.kafka,
                connections=connections,
                producer=producer,
                objects=objects,
                search=SearchEngine(settings.opensearch),
                retry_days=7,
                forgetting=settings.forgetting,
                postgres_dsn=settings.postgres_dsn,
                codec=Codec(Registry(settings.registry_url)),
                stalled_after_s=settings.limits.stalled_after_s,
            )
    finally:
        await producer.stop()
        objects.close()
