"""Drives speech workers as real processes: chunks with real audio in, answers out."""

import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import soundfile
from confluent_kafka import Consumer, TopicPartition

from local.settings import STUB_ENGINES
from runtime.kafka import EventProducer, Incoming, Outgoing, outgoing
from runtime.objects import ObjectStore
from runtime.registry import Registry
from runtime.settings import Settings
from schemas.codec import Codec
from schemas.identity import event_id
from schemas.records import ChunkCut, ChunkDiarized, ChunkFailed, ChunkTranscribed, Record
from schemas.topics import DEAD_LETTERS, TRANSCRIPTIONS, lane_topic
from schemas.values import Lane, StoredObject, Task, TranscriptionOptions
from streams.speech.tries import decode
from tests.deadline import until

START_TIMEOUT_S = 60.0
ANSWER_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 40.0
SAMPLE_RATE_HZ = 16_000
CHUNK_S = 0.5

Answer = ChunkTranscribed | ChunkDiarized | ChunkFailed


def flac(seed: int, seconds: float = CHUNK_S) -> bytes:
    """A chunk object: quiet noise, another for each seed."""
    pcm = np.random.default_rng(seed).integers(-200, 200, int(seconds * SAMPLE_RATE_HZ), dtype=np.int16)
    out = io.BytesIO()
    soundfile.write(out, pcm, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
    return out.getvalue()


def cut_of(index: int, *vocabulary: str, lane: Lane = Lane.BATCH, job_id: str | None = None) -> ChunkCut:
    """A chunk whose audio is not stored yet."""
    job_id = job_id or str(uuid4())
    data = flac(index)
    sha256 = hashlib.sha256(data).hexdigest()
    start_ms = index * int(CHUNK_S * 1000)
    return ChunkCut(
        event_id=event_id(job_id, "ChunkCut", index),
        job_id=job_id,
        tenant_id="tenant",
        actor="chunker",
        occurred_at=1_700_000_000_000,
        cause_id=job_id,
        index=index,
        round=0,
        tasks=(Task.ASR, Task.DIARIZATION),
        start_ms=start_ms,
        end_ms=start_ms + int(CHUNK_S * 1000),
        object_start_ms=start_ms,
        object=StoredObject(key=f"tenant/{job_id}/chunks/{index:05d}.flac", size_bytes=len(data), sha256=sha256),
        lane=lane,
        options=TranscriptionOptions(vocabulary=vocabulary),
    )


def cuts_of(count: int, *vocabulary: str, lane: Lane = Lane.BATCH) -> list[ChunkCut]:
    """Chunks of one job."""
    job_id = str(uuid4())
    return [cut_of(index, *vocabulary, lane=lane, job_id=job_id) for index in range(count)]


class Lanes:
    """The topics around a speech worker, of one workspace."""

    def __init__(self, workspace: Mapping[str, str]) -> None:
        self.settings = Settings.read(workspace)
        self.store = ObjectStore(self.settings.objects)
        self._codec = Codec(Registry(self.settings.registry_url))
        self._producer = EventProducer(self.settings.kafka)
        self._answers = self._reader(TRANSCRIPTIONS)
        self._dead = self._reader(DEAD_LETTERS)
        self.answers: list[Answer] = []

    def send(self, cuts: Sequence[ChunkCut], *, stored: bool = True) -> None:
        """Puts chunks on their lane, their audio stored first."""
        for cut in cuts:
            if stored:
                self.store.put(cut.object.key, flac(cut.index))
            kafka = self.settings.kafka
            self._producer.send(outgoing(cut, lane_topic(cut.lane), self._codec, kafka.partitions, "test"))
        self._producer.flush()

    def send_bytes(self, value: bytes | None, lane: Lane = Lane.BATCH, key: bytes = b"key") -> None:
        """Puts anything on a lane."""
        self._producer.send(Outgoing(topic=lane_topic(lane), partition=0, key=key, value=value))
        self._producer.flush()

    def answered(self, cuts: Sequence[ChunkCut], timeout_s: float = ANSWER_TIMEOUT_S) -> dict[str, list[Answer]]:
        """The answers to each of the chunks, by the chunk's event id, once each has at least one."""
        wanted = {cut.event_id for cut in cuts}

        def all_there() -> bool:
            self.read()
            return wanted <= {answer.cause_id for answer in self.answers}

        until(all_there, timeout_s, f"answers to {len(wanted)} chunks, {len(self.answers)} came")
        return {key: [answer for answer in self.answers if answer.cause_id == key] for key in wanted}

    def answered_once(self, cuts: Sequence[ChunkCut]) -> dict[str, Answer]:
        """The answer to each of the chunks, when none was answered twice."""
        found = self.answered(cuts)
        assert all(len(given) == 1 for given in found.values()), {key: len(given) for key, given in found.items()}
        return {key: given[0] for key, given in found.items()}

    def failure(self, cut: ChunkCut) -> ChunkFailed:
        """The answer to a chunk that failed."""
        [found] = self.answered([cut])[cut.event_id]
        assert isinstance(found, ChunkFailed)
        return found

    def read(self) -> list[Answer]:
        """All answers so far, in the order in which they came."""
        for message in self._answers.consume(500, 0.05):
            record: Record = self._codec.decode(_value(message.value()))
            assert isinstance(record, ChunkTranscribed | ChunkDiarized | ChunkFailed)
            self.answers.append(record)
        return self.answers

    def dead_letters(self, count: int, timeout_s: float = ANSWER_TIMEOUT_S) -> list[dict[str, bytes]]:
        """The headers of the first dead letters, once there are `count`."""
        found: list[dict[str, bytes]] = []

        def enough() -> bool:
            for message in self._dead.consume(100, 0.05):
                record = Incoming.of(message, self.settings.kafka.topic_prefix)
                found.append({**dict(record.headers), "value": record.value or b""})
            return len(found) >= count

        until(enough, timeout_s, f"{count} dead letters")
        return found

    def committed(self, task: Task) -> dict[tuple[str, int], tuple[int, str]]:
        """Committed offset and metadata of each partition of the batch lane, as the broker has them."""
        kafka = self.settings.kafka
        consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": kafka.group(f"speech-{task}")})
        wanted = [TopicPartition(kafka.topic("chunks.batch"), number) for number in range(kafka.partitions)]
        found = consumer.committed(wanted, timeout=10)
        consumer.close()
        return {(tp.topic, tp.partition): (tp.offset, tp.metadata or "") for tp in found}

    def tries(self, task: Task) -> int:
        """Tries that are committed with the batch lane's offsets, of all open chunks together."""
        commits = self.committed(task).values()
        return sum(sum(decode(metadata, offset).values()) for offset, metadata in commits if offset >= 0)

    def lag(self, task: Task) -> int:
        """Records of the batch lane that are not committed."""
        kafka = self.settings.kafka
        consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "lag"})
        total = 0
        for (topic, number), (offset, _) in self.committed(task).items():
            _, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)
            total += high - max(0, offset)
        consumer.close()
        return total

    def close(self) -> None:
        """Lets the readers go."""
        self._answers.close()
        self._dead.close()

    def _reader(self, topic: str) -> Consumer:
        kafka = self.settings.kafka
        consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "test", "enable.auto.commit": False})
        consumer.assign([TopicPartition(kafka.topic(topic), number, 0) for number in range(kafka.partitions)])
        return consumer


def _value(value: bytes | str | None) -> bytes:
    assert isinstance(value, bytes)
    return value


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WorkerProcess:
    """A running speech worker."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def lines(self, action: str) -> list[dict[str, Any]]:
        """Its log lines of one kind."""
        found = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in found if line.get("action") == action]

    def wait_for(self, action: str, timeout_s: float = START_TIMEOUT_S) -> dict[str, Any]:
        """The first log line of a kind, once it is there."""

        def there() -> list[dict[str, Any]]:
            lines = self.lines(action)
            assert lines or self.process.poll() is None, self.log.read_text()
            return lines

        return until(there, timeout_s, f"{action} in {self.log}")[0]

    def health(self) -> tuple[int, dict[str, Any]]:
        """Status and body of /healthz."""
        url = f"http://127.0.0.1:{self.wait_for('start')['health_port']}/healthz"
        answer = httpx.get(url, timeout=5)
        return answer.status_code, answer.json()

    def model_pid(self) -> int:
        """Process id of the model's process, the latest."""
        self.wait_for("model.loaded")
        return int(self.lines("model.loaded")[-1]["pid"])

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_TIMEOUT_S)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(STOP_TIMEOUT_S)


@contextmanager
def speech_worker(
    workspace: Mapping[str, str],
    tmp_path: Path,
    task: Task = Task.ASR,
    program: Sequence[str] = ("-m", "streams.speech.worker"),
    **settings: str,
) -> Iterator[WorkerProcess]:
    """A worker with stub engines; it is killed at the end if it still runs."""
    log = tmp_path / f"{task}-{uuid4().hex[:6]}.log"
    stubs = {**STUB_ENGINES, "PALIMPSEST_HEALTH_PORT": "0"}
    given = {f"PALIMPSEST_{name}": value for name, value in settings.items()}
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, *program, "--role", task.value],
            env={**os.environ, **workspace, **stubs, **given},
            stderr=stderr,
        )
    try:
        yield WorkerProcess(process=process, log=log)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(STOP_TIMEOUT_S)


def metric(worker: WorkerProcess, name: str) -> float:
    """The sum of a metric over its labels."""
    url = f"http://127.0.0.1:{worker.wait_for('start')['health_port']}/metrics"
    text = httpx.get(url, timeout=5).text
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))


def with_round(cut: ChunkCut, number: int) -> ChunkCut:
    """The chunk again, as a client's retry sends it."""
    return replace(cut, round=number, event_id=event_id(cut.job_id, f"ChunkCut/{number}", cut.index))
