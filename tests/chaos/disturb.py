"""Records nobody should have written: the same bytes again, and bytes that mean nothing.

In: the broker, a seed. Out: duplicates of records on every topic, and undecodable bytes on those whose readers bury
them; what was written of the latter is noted, because each must be found among the dead letters.
"""

import hashlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Set
from contextlib import suppress
from pathlib import Path
from typing import cast

from confluent_kafka import Consumer, KafkaException, Message, Producer

DUPLICATED = (
    "uploads",
    "uploads.long",
    "controls",
    "transcriptions",
    "corrections",
    "chunks.interactive",
    "chunks.batch",
)
PUBLIC = "transcripts"
POISONED = DUPLICATED
SHARE = 0.06
POISON_GAP_S = (15.0, 60.0)
LATE_S = (0.0, 8.0)
POLL_S = 0.5
Headers = list[tuple[str, str | bytes | None]]


class Disturber:
    """Runs in a thread until stopped. `left_alone` are jobs of which nothing is written again on the public topic."""

    def __init__(self, kafka: str, seed: int, partitions: int, folder: Path, left_alone: Set[str]) -> None:
        self._random = random.Random(seed)
        self._partitions = partitions
        self._left_alone = left_alone
        self._seed = seed
        self._consumer = Consumer(
            {"bootstrap.servers": kafka, "group.id": "disturber", "auto.offset.reset": "earliest", "log_level": 0}
        )
        self._producer = Producer({"bootstrap.servers": kafka, "enable.idempotence": True, "log_level": 0})
        self._poison = (folder / "poison.jsonl").open("w")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="disturber")
        self._late: list[tuple[float, Message]] = []
        self.counts: Counter[str] = Counter()

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it; everything it wrote is with the broker then."""
        self._stop.set()
        self._thread.join()
        self._producer.flush()
        self._consumer.close()
        self._poison.close()

    def _run(self) -> None:
        self._consumer.subscribe([*DUPLICATED, PUBLIC])
        next_poison_s = time.monotonic() + self._random.uniform(*POISON_GAP_S) / 3
        while not self._stop.is_set():
            with suppress(KafkaException):
                message = self._consumer.poll(POLL_S)
                if message is not None and message.error() is None:
                    self._consider(message)
            if time.monotonic() > next_poison_s:
                self._write_poison()
                next_poison_s = time.monotonic() + self._random.uniform(*POISON_GAP_S)
            self._write_late(time.monotonic())
        self._write_late(float("inf"))

    def _consider(self, message: Message) -> None:
        """Which records come again follows from their bytes and the seed, not from the moment."""
        value = message.value()
        if value is None or _is_ours(message) or not self._may_come_again(message):
            return
        digest = hashlib.sha256(value + str(self._seed).encode()).digest()
        if digest[0] < SHARE * 256:
            self._late.append((time.monotonic() + self._random.uniform(*LATE_S), message))

    def _may_come_again(self, message: Message) -> bool:
        """Forgotten jobs stay forgotten, and what kills a model is counted, so it is not sent twice."""
        topic, key = message.topic() or "", (message.key() or b"").decode(errors="replace")
        job_id = key.partition("/")[0]
        return not (job_id in self._left_alone and (topic == PUBLIC or topic.startswith("chunks.")))

    def _write_late(self, now_s: float) -> None:
        due = [message for at_s, message in self._late if at_s <= now_s]
        self._late = [item for item in self._late if item[0] > now_s]
        for message in due:
            headers = [*cast(Headers, message.headers() or []), ("chaos", b"again")]
            self._producer.produce(
                message.topic() or "",
                value=message.value(),
                key=message.key(),
                partition=message.partition() or 0,
                headers=headers,
            )
            self.counts[f"again on {message.topic()}"] += 1
        self._producer.poll(0)

    def _write_poison(self) -> None:
        topic = self._random.choice(POISONED)
        value = self._random.choice((b"", b"\x00\x7f\xff\xff\xff", b"garbage ")) + self._random.randbytes(20)
        partition = self._random.randrange(self._partitions)
        self._producer.produce(topic, value=value, key=b"poison", partition=partition, headers=[("chaos", b"poison")])
        print(json.dumps({"topic": topic, "value": value.hex()}), file=self._poison, flush=True)
        self.counts["poison"] += 1


def _is_ours(message: Message) -> bool:
    headers = cast(list[tuple[str, bytes]], message.headers() or [])
    return any(name == "chaos" for name, _ in headers)
