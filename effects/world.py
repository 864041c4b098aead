"""What sweeps act on: the views, the log and the object store.

In: settings. Out: one record of clients. Knows no sweep.
"""

from dataclasses import dataclass

from runtime import postgres
from runtime.kafka import AsyncEventProducer
from runtime.objects import ObjectStore
from runtime.opensearch import SearchEngine
from runtime.settings import Forgetting, Kafka, Settings
from schemas.codec import Codec


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One of each; shared by all sweeps."""

    settings: Settings
    kafka: Kafka
    connections: postgres.Pool
    producer: AsyncEventProducer
    objects: ObjectStore
    search: SearchEngine
    codec: Codec
    retry_days: int
    forgetting: Forgetting
    postgres_dsn: str
    stalled_after_s: int
