"""A real assembler on real engines, and what a test needs to talk with it."""

import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from confluent_kafka import Consumer, TopicPartition

from runtime.kafka import EventProducer, Incoming, outgoing
from runtime.objects import ObjectStore
from runtime.registry import Registry
from runtime.settings import Settings
from schemas import records
from schemas.codec import Codec
from schemas.topics import BY_NAME, CONTROLS, CORRECTIONS, TRANSCRIPTIONS, TRANSCRIPTS, UPLOADS
from tests.deadline import until

INPUT_TOPICS = (UPLOADS, CONTROLS, TRANSCRIPTIONS, CORRECTIONS)
READ_TIMEOUT_S = 10.0


@contextmanager
def assembler(workspace: Mapping[str, str], *program: str) -> Iterator[subprocess.Popen[bytes]]:
    """The process, as a supervisor would start it; killed at the end if it still runs."""
    command = [sys.executable, *(program or ("-m", "streams.assembler.worker"))]
    process = subprocess.Popen(command, env={**os.environ, **workspace})
    try:
        yield process
    finally:
        process.kill()
        process.wait()


class Bus:
    """Writes inputs and reads what came of them."""

    def __init__(self, workspace: Mapping[str, str]) -> None:
        self.settings = Settings.read(workspace)
        self.codec = Codec(Registry(self.settings.registry_url))
        self.objects = ObjectStore(self.settings.objects)
        self._producer = EventProducer(self.settings.kafka)

    def send(self, inputs: Sequence[records.Record]) -> None:
        for record in inputs:
            topic = next(name for name in INPUT_TOPICS if isinstance(record, BY_NAME[name].records))
            self._producer.send(outgoing(record, topic, self.codec, self.settings.kafka.partitions, "test"))
        self._producer.flush()

    def raw(self, topic: str) -> list[Incoming]:
        """Everything on a topic now, partition by partition."""
        kafka = self.settings.kafka
        consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "reader", "enable.auto.commit": False})
        found = []
        try:
            for partition in range(kafka.partitions):
                place = TopicPartition(kafka.topic(topic), partition, 0)
                low, high = consumer.get_watermark_offsets(place, timeout=READ_TIMEOUT_S)
                at = low
                consumer.assign([TopicPartition(kafka.topic(topic), partition, low)])
                while at < high:
                    (message,) = until(lambda: consumer.consume(1, 0.5), READ_TIMEOUT_S, "a record")
                    found.append(Incoming.of(message, kafka.topic_prefix))
                    at = found[-1].offset + 1
        finally:
            consumer.close()
        return found

    def facts(self) -> dict[str, list[records.TranscriptRecord]]:
        """The facts on the log by job, as written."""
        found: dict[str, list[records.TranscriptRecord]] = defaultdict(list)
        for incoming in self.raw(TRANSCRIPTS):
            if incoming.value is not None:
                fact = self.codec.decode(incoming.value)
                assert isinstance(fact, records.Fact)
                found[fact.job_id].append(fact)
        return found

    def wait_for(
        self, job_id: str, kind: type[records.Fact], timeout_s: float = 30.0
    ) -> list[records.TranscriptRecord]:
        """The job's facts once one of `kind` is among them."""

        def probe() -> list[records.TranscriptRecord] | None:
            facts = self.facts()[job_id]
            return facts if any(isinstance(fact, kind) for fact in facts) else None

        return until(probe, timeout_s, f"{kind.__name__} of {job_id}")
