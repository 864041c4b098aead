"""The chunker process: the one Faust application, uploads in, chunks and plans out.

In: settings from the environment, records of the upload topic. Out: ChunkCut on the chunk lanes, AudioPrepared and
AudioRejected on the upload topic, dead letters. A record is acknowledged last of all, so a process that dies at any
instant does the record again. Knows no codec and no cut: `prepare` does the work.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from typing import Any

import faust
import mode
from structlog.contextvars import bound_contextvars

from runtime import disk, faults, health, kafka, postgres, telemetry
from runtime.errors import Unavailable
from runtime.faults import crash_point
from runtime.lag import Lag
from runtime.objects import ObjectStore
from runtime.registry import Registry
from runtime.settings import Settings
from schemas.codec import Codec, UndecodableRecord
from schemas.records import Record, UploadReceived
from schemas.topics import DEAD_LETTERS, UPLOADS
from streams.chunker.crash_only import crash_only_app, places, records, send
from streams.chunker.prepare import Outlets, Poisoned, Preparation, Rules, patiently
from streams.chunker.room import Room
from streams.chunker.sandbox import Decoders
from streams.chunker.tries import Tries

LAG_PERIOD_S = 5.0

log = telemetry.logger(__name__)


def process_name(upload_topic: str) -> str:
    """Name and consumer group: long uploads have chunkers of their own."""
    return "chunker" if upload_topic == UPLOADS else "chunker-long"


class Chunker(mode.Service):
    """What the application needs of the outside, opened before it and closed after it, and what it does per record."""

    def __init__(self, config: Settings, codec: Codec, state: health.Health) -> None:
        super().__init__()
        self._config = config
        self._codec = codec
        self._health = state
        self._group = process_name(config.upload_topic)
        self._connections = postgres.pool(config.postgres_dsn, maximum=2)
        self._decoders = Decoders()
        self._preparation: Preparation | None = None
        self._lag = Lag()
        self._redrives = 0  # of the upload in hand, and so of the answers to it
        self.app = crash_only_app(config.kafka, self._group, config.instance_id, config.temp_dir / "faust")
        self._consume()

    def _consume(self) -> None:
        """Tells Faust what to do with the upload topic."""
        name = self._config.kafka.topic(self._config.upload_topic)
        topic = self.app.topic(name, key_serializer="raw", value_serializer="raw")

        @self.app.agent(topic, name=self._group, concurrency=1)
        async def prepare_upload(stream: Any) -> AsyncIterator[None]:
            async for incoming in records(self.app, stream, self._config.kafka.topic_prefix):
                if incoming.value is not None:
                    await self.handle(incoming)
                self._health.moved()
                yield

        @self.app.timer(LAG_PERIOD_S, on_leader=False)
        async def watch() -> None:
            await self._watch()

        async def assigned(*_: Any, **__: Any) -> None:
            self._health.ready()

        self.app.on_partitions_assigned.connect(assigned, weak=False)

    async def on_start(self) -> None:
        """Opens what the work needs; raises when the tables are not this program's."""
        await self._connections.open()
        tries = Tries(self._connections)
        await patiently(tries.forget_old)
        room = Room(self._config.temp_dir, self._config.limits.temp_quota_bytes)
        room.tidy()
        await self._decoders.__aenter__()
        self._health.detail(sandbox=self._decoders.sandbox, topic=self._config.upload_topic)
        self._preparation = Preparation(
            Outlets(
                objects=ObjectStore(self._config.objects),
                tries=tries,
                decoders=self._decoders,
                room=room,
                send=self._send,
                progress=self._health.moved,
            ),
            Rules(
                upload_topic=self._config.upload_topic,
                temp_dir=self._config.temp_dir,
                max_audio_s=self._config.limits.max_audio_s,
                interactive_audio_s=self._config.limits.interactive_audio_s,
            ),
        )

    async def on_stop(self) -> None:
        """Closes it again."""
        await self._decoders.__aexit__()
        await self._connections.close()

    async def handle(self, incoming: kafka.Incoming) -> None:
        """One record of the upload topic; ours among them are passed over."""
        telemetry.records_in.labels(incoming.topic).inc()
        try:
            # In a thread: an unknown schema id asks the registry, which may be away.
            record = await asyncio.to_thread(self._codec.decode, incoming.value or b"")
        except UndecodableRecord as error:
            await self._bury(incoming, "undecodable", str(error), 1)
            return
        if isinstance(record, UploadReceived):
            with bound_contextvars(job_id=record.job_id):
                await self._prepare(record, incoming)

    async def _prepare(self, upload: UploadReceived, incoming: kafka.Incoming) -> None:
        assert self._preparation is not None
        self._redrives = incoming.redrives
        name = f"{upload.event_id}+{incoming.redrives}" if incoming.redrives else upload.event_id
        outcome = await self._preparation.prepare(upload, name)
        if isinstance(outcome, Poisoned):
            await self._bury(incoming, "poison", outcome.reason, outcome.tries)
            await self._preparation.answered(name)

    async def _send(self, record: Record, topic: str) -> None:
        out = kafka.outgoing(record, topic, self._codec, self._config.kafka.partitions, self._group)
        await send(self.app, self._config.kafka.topic(topic), kafka.redriven(out, self._redrives))

    async def _bury(self, incoming: kafka.Incoming, cause: str, message: str, tries: int) -> None:
        letter = kafka.dead_letter(incoming, self._config.kafka.group(self._group), cause, message, tries)
        with crash_point("dead_letter.produce"):
            await send(self.app, self._config.kafka.topic(DEAD_LETTERS), letter)
        telemetry.dead_letters.labels(cause).inc()
        log.error("put on the dead-letter topic", action="record.dead", cause=cause, error=message)

    async def _watch(self) -> None:
        self._health.detail(temp_free_ratio=round(disk.free_share(self._config.temp_dir), 3))
        try:
            found = await places(self.app)
        except Unavailable:
            self._health.broker(False)
            return
        self._health.broker(True)
        ours = {(self._config.upload_topic, tp.partition): where for tp, where in found.items()}
        self._health.lag(self._lag.report(time.monotonic(), ours))


def main() -> None:
    """Runs until SIGTERM, which lets the file in hand be finished; exits with 1 when it must be restarted."""
    config = Settings.read(os.environ)
    telemetry.configure(process_name(config.upload_topic), config.log_level)
    faults.arm(process_name(config.upload_topic), config.faults)
    with postgres.connection(config.postgres_dsn, autocommit=True) as conn:
        postgres.check_schema(conn)
    registry = Registry(config.registry_url)
    registry.resolve_all()
    disk.watch({"temp": config.temp_dir})
    state = health.Health()
    server = health.serve(state, config.health_port, config.health_host)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    chunker = Chunker(config, Codec(registry), state)
    log.info("started", action="process.started", health_port=server.server_port)
    faust.Worker(
        chunker.app, chunker, loop=loop, override_logging=False, redirect_stdouts=False, quiet=True
    ).execute_from_commandline()


if __name__ == "__main__":
    # Faust takes options from the command line at import; we have none.
    main()
