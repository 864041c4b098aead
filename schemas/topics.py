"""The topics: what each carries, how it is keyed and how long it is kept.

In: nothing. Out: the one table of topics, and the address (topic, key, partition) of a record.
Knows no broker; `runtime.kafka.apply_topics` creates what the table says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import get_args

from schemas import records
from schemas.identity import chunk_key, fact_key, partition_for

DAY_MS = 86_400_000
WORKING_RETENTION_MS = 7 * DAY_MS
DEAD_LETTER_RETENTION_MS = 14 * DAY_MS
COMPACTION_LAG_MS = 7 * DAY_MS
LONG_UPLOAD_BYTES = 50_000_000
MAX_RECORD_BYTES = 500_000

UPLOADS = "uploads"
UPLOADS_LONG = "uploads.long"
CONTROLS = "controls"
CHUNKS_INTERACTIVE = "chunks.interactive"
CHUNKS_BATCH = "chunks.batch"
TRANSCRIPTIONS = "transcriptions"
CORRECTIONS = "corrections"
TRANSCRIPTS = "transcripts"
DEAD_LETTERS = "dead-letters"

# A record goes with the whole segment it lies in, so a segment spans a day: with the broker's own week, a record would
# stay for up to two.
SEGMENT_MS = DAY_MS
_WORKING = {"cleanup.policy": "delete", "retention.ms": str(WORKING_RETENTION_MS), "segment.ms": str(SEGMENT_MS)}
# LogAppendTime, because segments roll by record time: a client's clock must not be able to hold compaction back.
_FOR_EVER = {
    "cleanup.policy": "compact",
    "message.timestamp.type": "LogAppendTime",
    "min.compaction.lag.ms": "0",
    "max.compaction.lag.ms": str(COMPACTION_LAG_MS),
}
_DEAD = {
    "cleanup.policy": "delete",
    "retention.ms": str(DEAD_LETTER_RETENTION_MS),
    "segment.ms": str(SEGMENT_MS),
    "max.message.bytes": "2000000",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One topic: its name without prefix, the records it may carry and the broker's settings for it."""

    name: str
    records: tuple[type[records.Record], ...]
    written_by: str
    key: str
    config: Mapping[str, str] = field(default_factory=dict)


TOPICS: tuple[Topic, ...] = (
    Topic(
        name=UPLOADS,
        records=get_args(records.UploadRecord),
        written_by="api, chunker",
        key="job_id",
        config=_WORKING,
    ),
    Topic(
        name=UPLOADS_LONG,
        records=get_args(records.UploadRecord),
        written_by="api, chunker",
        key="job_id",
        config=_WORKING,
    ),
    Topic(
        name=CONTROLS,
        records=get_args(records.ControlRecord),
        written_by="api, effects",
        key="job_id",
        config=_WORKING,
    ),
    Topic(
        name=CHUNKS_INTERACTIVE,
        records=(records.ChunkCut,),
        written_by="chunker, assembler",
        key="job_id/index",
        config=_WORKING,
    ),
    Topic(
        name=CHUNKS_BATCH,
        records=(records.ChunkCut,),
        written_by="chunker, assembler",
        key="job_id/index",
        config=_WORKING,
    ),
    Topic(
        name=TRANSCRIPTIONS,
        records=get_args(records.TranscriptionRecord),
        written_by="speech",
        key="job_id",
        config=_WORKING,
    ),
    Topic(
        name=CORRECTIONS,
        records=get_args(records.CorrectionRecord),
        written_by="api",
        key="job_id",
        config=_WORKING,
    ),
    Topic(
        name=TRANSCRIPTS,
        records=get_args(records.TranscriptRecord),
        written_by="assembler",
        key="job_id/seq",
        config=_FOR_EVER,
    ),
    Topic(
        name=DEAD_LETTERS,
        records=(),
        written_by="any worker",
        key="original",
        config=_DEAD,
    ),
)

BY_NAME: Mapping[str, Topic] = {topic.name: topic for topic in TOPICS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a record goes; `topic` is without prefix."""

    topic: str
    key: bytes
    partition: int


def upload_topic(size_bytes: int) -> str:
    """Uploads over 50 MB have their own topic and chunkers, so that nobody waits behind a ten-hour file."""
    return UPLOADS_LONG if size_bytes > LONG_UPLOAD_BYTES else UPLOADS


def lane_topic(lane: str) -> str:
    """The chunk topic of a lane."""
    return f"chunks.{lane}"


def address(record: records.Record, topic: str, partitions: int) -> Address:
    """Key and partition of a record on a topic; raises ValueError where the topic may not carry it."""
    if not isinstance(record, BY_NAME[topic].records):
        raise ValueError(f"{type(record).__name__} does not belong on {topic}")
    if isinstance(record, records.ChunkCut):
        key = chunk_key(record.job_id, record.index)
        return Address(topic=topic, key=key, partition=partition_for(key, partitions))
    job = record.job_id.encode()
    key = fact_key(record.job_id, record.seq) if isinstance(record, records.Fact) else job
    return Address(topic=topic, key=key, partition=partition_for(job, partitions))
