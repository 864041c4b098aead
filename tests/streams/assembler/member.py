"""One member of the assembler's group, driven by hand: nothing happens but what a test does."""

from typing import ClassVar

from runtime.kafka import REDRIVE_HEADER, EventProducer, Incoming
from runtime.postgres import Connection
from schemas import records
from schemas.codec import Codec
from schemas.identity import partition_for
from schemas.topics import BY_NAME
from streams.assembler.worker import Assembler
from streams.assembler.workshop import Workshop
from tests.streams.assembler.given import Inputs
from tests.streams.assembler.running import INPUT_TOPICS, Bus


class Member:
    """Its transaction and its publishing are two steps."""

    made: ClassVar[list["Member"]] = []

    def __init__(self, bus: Bus, conn: Connection, workshop: Workshop) -> None:
        self.bus, self.conn = bus, conn
        self.handler = Assembler(bus.settings, bus.codec, EventProducer(bus.settings.kafka), workshop)
        self.made.append(self)
        self.handler.assigned(conn, frozenset(range(bus.settings.kafka.partitions)))

    def commit(self, job: Inputs, *inputs: records.Record, redrive: int = 0) -> None:
        """The transaction alone: as if the process died right after it."""
        partition = partition_for(job.job_id.encode(), self.bus.settings.kafka.partitions)
        with self.conn.transaction():
            self.handler.apply(self.conn, partition, [incoming(self.bus.codec, r, partition, redrive) for r in inputs])

    def give(self, job: Inputs, *inputs: records.Record, redrive: int = 0) -> list[records.TranscriptRecord]:
        """The whole step; the job's facts on the log afterwards."""
        self.commit(job, *inputs, redrive=redrive)
        self.handler.committed(self.conn, 0)
        return self.bus.facts()[job.job_id]


def incoming(codec: Codec, record: records.Record, partition: int, redrive: int = 0) -> Incoming:
    topic = next(name for name in INPUT_TOPICS if isinstance(record, BY_NAME[name].records))
    return Incoming(
        topic=topic,
        partition=partition,
        offset=record.occurred_at,
        key=record.job_id.encode(),
        value=codec.encode(record),
        headers=((REDRIVE_HEADER, str(redrive).encode()),) if redrive else (),
        timestamp_ms=record.occurred_at,
    )
