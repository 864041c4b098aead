"""The way into the log: appends requests, and knows whether the broker can be reached.

In: records. Out: the broker has them, or Unavailable. The API starts and stays up while the broker is away.
Whoever asks whether it is there asks `reach`, which asks here.
"""

import asyncio

from runtime import settings
from runtime.errors import Unavailable
from runtime.kafka import AsyncEventProducer, Outgoing, outgoing
from runtime.telemetry import logger
from schemas.codec import Codec
from schemas.records import Record

SOURCE = "palimpsest/api"
SEND_TIMEOUT_S = 5.0
PAUSE_S = 1.0

log = logger(__name__)


class Appender:
    """One producer, connected as soon as the broker answers."""

    def __init__(self, kafka: settings.Kafka, codec: Codec) -> None:
        self._kafka = kafka
        self._codec = codec
        self._producer: AsyncEventProducer | None = None

    async def connect(self) -> None:
        """Keeps trying until it is connected."""
        while self._producer is None:
            producer = AsyncEventProducer(self._kafka)
            try:
                await producer.start()
                self._producer = producer
            except Unavailable as error:
                await producer.stop()
                log.warning("the broker is away", action="appender.wait", trouble=str(error))
                await asyncio.sleep(PAUSE_S)

    async def close(self) -> None:
        """Sends what is queued."""
        if self._producer is not None:
            await self._producer.stop()

    async def encoded(self, record: Record, topic: str) -> Outgoing:
        """Final bytes of a record; in a thread, because the first of its kind asks the registry."""
        return await asyncio.to_thread(outgoing, record, topic, self._codec, self._kafka.partitions, SOURCE)

    async def send(self, out: Outgoing) -> None:
        """Returns when the broker has it; raises Unavailable, and then it may still arrive."""
        if self._producer is None:
            raise Unavailable("Kafka: not connected")
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self._producer.send(out)
        except TimeoutError as error:
            raise Unavailable(f"Kafka: no acknowledgement in {SEND_TIMEOUT_S:.0f} s") from error

    async def reachable(self) -> bool:
        """Whether the broker answers now."""
        return self._producer is not None and await self._producer.reachable()
