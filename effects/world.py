"""What sweeps act on: the views, the log and the object store.

In: settings. Out: one record of clients. Knows no sweep.
"""

from dataclasses import dataclass

from runtime import postgres
from runtime.kafka import AsyncEventProducer
from runtime.objects import ObjectStore
from runtime.settings import Kafka


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One of each; shared by all sweeps."""

    kafka: Kafka
    connections: postgres.Pool
    producer: AsyncEventProducer
    objects: ObjectStore
    retry_days: int
    nudge_period_s: int
