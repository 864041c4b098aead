"""Segments per second of a rebuild, beside a bare consumer that copies the same segments into a table without an index.

In: settings of a fresh workspace on running engines. Out: figures; the ratio is what a busy machine does not change.
Jobs are made up: a finished transcript each, of 50 to 100 segments with words and their times.
"""

import time
import uuid
from collections.abc import Callable, Iterator

import msgspec

from bench.report import Figure
from projections.rebuilding.rebuild import at_work, rebuild
from runtime.kafka import EventProducer, outgoing
from runtime.postgres import connection
from runtime.registry import Registry
from runtime.settings import Settings
from runtime.topic_reader import read_topic
from schemas.codec import Codec
from schemas.identity import event_id
from schemas.records import JobAccepted, SegmentsPublished, TranscriptCompleted, TranscriptRecord
from schemas.topics import TRANSCRIPTS
from schemas.values import Lane, Segment, Speaker, StoredObject, Timing, TranscriptionOptions, Word

AIM_TABLES_PER_S = 5_000
AIM_INDEX_PER_S = 3_000
LEAST_SEGMENTS = 50
MOST_SEGMENTS = 100
WORDS = ("so", "it", "goes", "nobody", "listens", "to", "the", "quick", "brown", "fox", "jumps", "over", "lazy", "dog")
WORDS_PER_SEGMENT = 10
SEGMENT_MS = 4_000
_COPY = "COPY bare_segments (job_id, segment_id, seq, start_ms, end_ms, speaker_id, text, words) FROM STDIN"
_TABLE = (
    "CREATE TABLE bare_segments (job_id text, segment_id text, seq bigint, start_ms bigint, end_ms bigint, "
    "speaker_id text, text text, words json)"
)


def measure(settings: Settings, jobs: int) -> list[Figure]:
    """Writes the log, then copies it barely, then makes the tables and the index of it."""
    segments = _write(settings, jobs)
    bare_s = _timed(lambda: _copy(settings))
    tables_s = _timed(lambda: _rebuild(settings, "jobs", "transcripts", "history"))
    index_s = _timed(lambda: _rebuild(settings, "search"))
    group = f"rebuild: {segments:,} segments of {jobs:,} jobs, {WORDS_PER_SEGMENT} words each"
    tables, index, bare = segments / tables_s, segments / index_s, segments / bare_s
    return [
        Figure(group=group, name="log → tables, switched", value=tables, unit="segments/s", aim=AIM_TABLES_PER_S),
        Figure(group=group, name="tables → index, switched", value=index, unit="segments/s", aim=AIM_INDEX_PER_S),
        Figure(group=group, name="bare consumer → COPY, no index", value=bare, unit="segments/s"),
        Figure(group=group, name="bare ÷ tables", value=tables_s / bare_s, unit="×"),
    ]


def _timed(work: Callable[[], None]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def _rebuild(settings: Settings, *names: str) -> None:
    with at_work(settings) as place:
        rebuild(place, names, lambda _unit, _done, _total: None)


def _copy(settings: Settings) -> None:
    codec = Codec(Registry(settings.registry_url))
    with connection(settings.postgres_dsn) as conn, conn.cursor() as cursor:
        cursor.execute(_TABLE)
        with cursor.copy(_COPY) as copy:
            for record in read_topic(settings.kafka, TRANSCRIPTS):
                fact = codec.decode(record.value or b"")
                if isinstance(fact, SegmentsPublished):
                    for each in fact.segments:
                        words = msgspec.json.encode(each.words).decode()
                        place = (each.start_ms, each.end_ms, each.speaker_id)
                        copy.write_row((fact.job_id, each.segment_id, fact.seq, *place, each.text, words))


def _write(settings: Settings, jobs: int) -> int:
    """The number of segments on the log."""
    codec, producer, number = Codec(Registry(settings.registry_url)), EventProducer(settings.kafka), 0
    for job in range(jobs):
        many = LEAST_SEGMENTS + job % (MOST_SEGMENTS - LEAST_SEGMENTS + 1)
        for fact in _facts(str(uuid.uuid4()), many):
            producer.send(outgoing(fact, TRANSCRIPTS, codec, settings.kafka.partitions, "bench"))
        number += many
    producer.flush()
    return number


def _facts(job_id: str, many: int) -> Iterator[TranscriptRecord]:
    now = time.time_ns() // 1_000_000

    def head(seq: int) -> dict[str, str | int]:
        cause = event_id(job_id, "cause", seq)
        named = {"job_id": job_id, "tenant_id": "bench", "actor": "bench", "cause_id": cause}
        return {**named, "event_id": event_id(cause, "fact"), "occurred_at": now, "seq": seq}

    audio = StoredObject(key="bench/audio", size_bytes=1, sha256="0" * 64)
    segments = tuple(_segment(n) for n in range(many))
    speakers = tuple(Speaker(speaker_id=f"spk{n}", label=f"Speaker {n}", speech_ms=1_000) for n in (1, 2))
    yield JobAccepted(**head(1), audio=audio, options=TranscriptionOptions(), lane=Lane.BATCH)  # type: ignore[arg-type]
    yield SegmentsPublished(**head(2), round=0, segments=segments)  # type: ignore[arg-type]
    yield TranscriptCompleted(
        **head(3),  # type: ignore[arg-type]
        round=0,
        duration_ms=many * SEGMENT_MS,
        language="en",
        speakers=speakers,
        segment_count=many,
        word_count=many * WORDS_PER_SEGMENT,
    )


def _segment(number: int) -> Segment:
    said = [WORDS[(number * 7 + i) % len(WORDS)] for i in range(WORDS_PER_SEGMENT)]
    start_ms, speaker = number * SEGMENT_MS, f"spk{number % 2 + 1}"
    step_ms = SEGMENT_MS // WORDS_PER_SEGMENT
    words = tuple(
        Word(
            text=word,
            start_ms=start_ms + i * step_ms,
            end_ms=start_ms + (i + 1) * step_ms,
            confidence=0.9,
            speaker_id=speaker,
            timing=Timing.ALIGNED,
        )
        for i, word in enumerate(said)
    )
    return Segment(
        segment_id=f"s2-{number + 1}",
        start_ms=start_ms,
        end_ms=start_ms + SEGMENT_MS,
        text=" ".join(said),
        speaker_id=speaker,
        language="en",
        confidence=0.9,
        words=words,
    )
