"""Whether everything has come to rest: nothing waits anywhere, no job is open.

In: a world. Out: what still moves, as sentences; none when all is quiet.
"""

from collections.abc import Iterator, Mapping

import psycopg
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.chaos.plan import OURS
from tests.chaos.world import World

TIMEOUT_S = 10.0
# Consumers whose offsets lie in PostgreSQL, and those whose group's offsets count.
STORED = ("assembler", "projector")
GROUPS: Mapping[str, tuple[str, ...]] = {
    "chunker": ("uploads",),
    "chunker-long": ("uploads.long",),
    "speech-asr": ("chunks.interactive", "chunks.batch"),
    "speech-diarization": ("chunks.interactive", "chunks.batch"),
}
WAITING = {
    "the assembler's outbox": "SELECT count(*) FROM assembler_outbox",
    "parked inputs": "SELECT count(*) FROM assembler_parked",
    "segments to index": "SELECT count(*) FROM search_pending",
    "open jobs of the assembler": "SELECT count(*) FROM assembler_jobs"
    " WHERE status IN ('preparing', 'transcribing', 'assembling')",
    "open jobs in the view": "SELECT count(*) FROM job_state WHERE status IN ('queued', 'processing')",
    "acceptances not in the view": "SELECT count(*) FROM accepted_requests AS a WHERE NOT EXISTS"
    " (SELECT 1 FROM job_touch AS t WHERE t.job_id = a.job_id)"
    " AND NOT EXISTS (SELECT 1 FROM job_erasure AS e WHERE e.job_id = a.job_id)",
}


def moving(world: World) -> list[str]:
    """What still waits or is away."""
    away = [f"{name} is not ready" for name in OURS if not world.is_ready(name)]
    if away:
        return away
    shared = world.shared_settings()
    try:
        return [*_waiting(shared["PALIMPSEST_POSTGRES_DSN"]), *_behind(shared)]
    except (psycopg.Error, KafkaException) as error:
        return [f"an engine does not answer: {error}"]


def _waiting(dsn: str) -> Iterator[str]:
    with psycopg.connect(dsn, connect_timeout=int(TIMEOUT_S)) as conn:
        for what, query in WAITING.items():
            row = conn.execute(query.encode()).fetchone()
            if row and row[0]:
                yield f"{row[0]} {what}"


def _behind(shared: Mapping[str, str]) -> Iterator[str]:
    bootstrap = shared["PALIMPSEST_KAFKA_BOOTSTRAP"]
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "quiet", "log_level": 0})
    try:
        ends = _ends(consumer)
    finally:
        consumer.close()
    for (reader, topic, partition), following in _positions(shared, ends).items():
        if following < ends[topic, partition]:
            yield f"{reader} is at {following} of {ends[topic, partition]} in {topic}/{partition}"


def _ends(consumer: Consumer) -> dict[tuple[str, int], int]:
    topics = consumer.list_topics(timeout=TIMEOUT_S).topics
    return {
        (name, partition): consumer.get_watermark_offsets(TopicPartition(name, partition), timeout=TIMEOUT_S)[1]
        for name, topic in topics.items()
        if not name.startswith("__")
        for partition in topic.partitions
    }


def _positions(shared: Mapping[str, str], ends: Mapping[tuple[str, int], int]) -> dict[tuple[str, str, int], int]:
    found: dict[tuple[str, str, int], int] = {}
    with psycopg.connect(shared["PALIMPSEST_POSTGRES_DSN"], connect_timeout=int(TIMEOUT_S)) as conn:
        for reader, topic, partition, following in conn.execute(
            "SELECT consumer, topic, partition, next_offset FROM consumer_offsets"
        ):
            found[reader, topic, partition] = following
    admin = AdminClient({"bootstrap.servers": shared["PALIMPSEST_KAFKA_BOOTSTRAP"]})
    for group, topics in GROUPS.items():
        for topic, partition in ((t, p) for t, p in ends if t in topics):
            found.setdefault((group, topic, partition), 0)
        asked = [ConsumerGroupTopicPartitions(group)]
        answer = admin.list_consumer_group_offsets(asked)[group].result(TIMEOUT_S)
        for place in answer.topic_partitions or []:
            found[group, place.topic, place.partition] = max(0, place.offset)
    return found
