"""Chunks per second from ChunkCut to ChunkCompleted, beside the bare broker with as many records in the same run.

In: settings of a running write side with the stub engines. Out: figures. Plays the chunker, which is measured apart.
"""

import threading
import time
import uuid
from contextlib import closing
from dataclasses import dataclass

from bench.recordings import noise
from bench.report import Figure
from runtime.kafka import EventProducer, Incoming, Outgoing, outgoing
from runtime.objects import ObjectStore
from runtime.registry import Registry
from runtime.settings import Settings
from runtime.topic_reader import follow_topic
from schemas.codec import Codec
from schemas.identity import event_id
from schemas.records import AudioPrepared, ChunkCut, UploadReceived, UploadRecord
from schemas.topics import CHUNKS_INTERACTIVE, DEAD_LETTERS, TRANSCRIPTS, UPLOADS
from schemas.values import Lane, MediaInfo, PlannedChunk, StoredObject, Task, TranscriptionOptions

AIM_CHUNKS_PER_S = 150
CHUNK_MS = 500
ACTOR = TENANT = "bench"
SILENCE_TIMEOUT_S = 60.0
WARM_UP_JOBS = 8
WARM_UP_CHUNKS = 25
_COMPLETED = b"palimpsest.ChunkCompleted"


class Stalled(Exception):
    """Nothing arrived for a minute; the message says how far it came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Final bytes of the records of all jobs."""

    uploads: tuple[Outgoing, ...]
    chunks: tuple[Outgoing, ...]
    plans: tuple[Outgoing, ...]


def warm_up(settings: Settings) -> None:
    """Runs a small load through everything, so that what is compiled or loaded at first use is there."""
    load = _load(settings, WARM_UP_JOBS, WARM_UP_CHUNKS)
    _through_pipeline(settings, load)
    _through_broker(settings, load)


def measure(settings: Settings, jobs: int, chunks_per_job: int) -> list[Figure]:
    """The pipeline first, then the bare broker."""
    load = _load(settings, jobs, chunks_per_job)
    pipeline_s = _through_pipeline(settings, load)
    broker_s = _through_broker(settings, load)
    count = len(load.chunks)
    group = f"throughput: {count:,} chunks of {jobs} jobs, stub engines"
    return [
        Figure(
            group=group,
            name="ChunkCut → ChunkCompleted",
            value=count / pipeline_s,
            unit="chunks/s",
            aim=AIM_CHUNKS_PER_S,
        ),
        Figure(group=group, name="raw produce → consume, same broker", value=count / broker_s, unit="records/s"),
        Figure(group=group, name="raw ÷ pipeline", value=pipeline_s / broker_s, unit="×"),
    ]


def _load(settings: Settings, jobs: int, chunks_per_job: int) -> Load:
    codec = Codec(Registry(settings.registry_url, wait=False))
    store = ObjectStore(settings.objects)
    sound = store.put("bench/chunk.flac", noise(0, CHUNK_MS / 1000))
    uploads, chunks, plans = [], [], []

    def out(record: UploadRecord | ChunkCut, topic: str) -> Outgoing:
        return outgoing(record, topic, codec, settings.kafka.partitions, ACTOR)

    for _ in range(jobs):
        upload, cuts, plan = _job(sound, chunks_per_job)
        uploads.append(out(upload, UPLOADS))
        chunks += [out(cut, CHUNKS_INTERACTIVE) for cut in cuts]
        plans.append(out(plan, UPLOADS))
    return Load(uploads=tuple(uploads), chunks=tuple(chunks), plans=tuple(plans))


def _job(sound: StoredObject, chunks: int) -> tuple[UploadReceived, list[ChunkCut], AudioPrepared]:
    """What the API and the chunker write for one job."""
    job_id, now = str(uuid.uuid4()), int(time.time() * 1000)

    def envelope(cause_id: str, kind: str, ordinal: int = 0) -> dict[str, str | int]:
        named = {"job_id": job_id, "tenant_id": TENANT, "actor": ACTOR, "cause_id": cause_id}
        return {**named, "event_id": event_id(cause_id, kind, ordinal), "occurred_at": now}

    options = TranscriptionOptions()
    upload = UploadReceived(**envelope(job_id, "UploadReceived"), audio=sound, options=options)  # type: ignore[arg-type]
    planned = tuple(
        PlannedChunk(
            index=i, start_ms=i * CHUNK_MS, end_ms=(i + 1) * CHUNK_MS, object_start_ms=i * CHUNK_MS, object=sound
        )
        for i in range(chunks)
    )
    cuts = [
        ChunkCut(
            **envelope(upload.event_id, "ChunkCut", chunk.index),  # type: ignore[arg-type]
            index=chunk.index,
            round=0,
            tasks=(Task.ASR, Task.DIARIZATION),
            start_ms=chunk.start_ms,
            end_ms=chunk.end_ms,
            object_start_ms=chunk.object_start_ms,
            object=chunk.object,
            lane=Lane.INTERACTIVE,
            options=options,
        )
        for chunk in planned
    ]
    plan = AudioPrepared(
        **envelope(upload.event_id, "AudioPrepared"),  # type: ignore[arg-type]
        duration_ms=chunks * CHUNK_MS,
        media=MediaInfo(container="flac", codec="flac", sample_rate_hz=16_000, channels=1),
        cutter="bench",
        lane=Lane.INTERACTIVE,
        chunks=planned,
    )
    return upload, cuts, plan


def _through_pipeline(settings: Settings, load: Load) -> float:
    """Seconds from before the first ChunkCut is sent until the last ChunkCompleted is read."""
    producer = EventProducer(settings.kafka)
    _send(producer, load.uploads)
    with _Counter(settings, TRANSCRIPTS, _COMPLETED, load) as counter:
        started = time.monotonic()
        _send(producer, (*load.chunks, *load.plans))
        return counter.finished_at() - started


def _through_broker(settings: Settings, load: Load) -> float:
    """The same bytes over a topic that nobody else reads or writes here."""
    producer = EventProducer(settings.kafka)
    raw = [
        Outgoing(topic=DEAD_LETTERS, partition=o.partition, key=o.key, value=o.value, headers=o.headers)
        for o in load.chunks
    ]
    with _Counter(settings, DEAD_LETTERS, None, load) as counter:
        started = time.monotonic()
        _send(producer, tuple(raw))
        return counter.finished_at() - started


def _send(producer: EventProducer, records: tuple[Outgoing, ...]) -> None:
    for record in records:
        producer.send(record)
    producer.flush()


class _Counter:
    """Reads a topic in a thread until a record of a kind has come for each chunk of a load."""

    def __init__(self, settings: Settings, topic: str, kind: bytes | None, load: Load) -> None:
        self._batches = follow_topic(settings.kafka, topic)
        self._kind = kind
        self._jobs = {_job_id(out.key) for out in load.uploads}
        self._wanted = len(load.chunks)
        self._seen: set[bytes] = set()
        self._at = time.monotonic()
        self._reading = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="counter")

    def __enter__(self) -> "_Counter":
        self._thread.start()
        self._reading.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def finished_at(self) -> float:
        """When the last of them was read; raises Stalled."""
        while self._thread.is_alive():
            self._thread.join(1.0)
            if time.monotonic() - self._at > SILENCE_TIMEOUT_S:
                raise Stalled(f"{len(self._seen):,} of {self._wanted:,} records after {SILENCE_TIMEOUT_S:.0f} s")
        return self._at

    def _read(self) -> None:
        with closing(self._batches):
            for batch in self._batches:
                self._reading.set()
                self._count(batch)
                if len(self._seen) >= self._wanted or self._stop.is_set():
                    return

    def _count(self, batch: list[Incoming]) -> None:
        before = len(self._seen)
        self._seen.update(record.key for record in batch if record.key is not None and self._is_wanted(record))
        if len(self._seen) > before:
            self._at = time.monotonic()

    def _is_wanted(self, record: Incoming) -> bool:
        mine = _job_id(record.key or b"") in self._jobs
        return mine and self._kind in (None, dict(record.headers).get("ce_type"))


def _job_id(key: bytes) -> bytes:
    """Every key begins with its job's id."""
    return key.partition(b"/")[0]
