"""The log of finished jobs as a stranger reads it, and a fold of its own: what the views must show.

Shares no line with assembler or projections.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, cast

from confluent_kafka import Consumer, Message, TopicPartition

from runtime.settings import Settings
from tests.foreign_reader import foreign_reader

READ_TIMEOUT_S = 30.0
ENDING = {"TranscriptCompleted": "completed", "JobFailed": "failed", "JobCancelled": "cancelled"}
Fact = dict[str, Any]


class History:
    """All facts of a `transcripts` topic, each once, with every way in which the log breaks its promise."""

    def __init__(self, settings: Settings) -> None:
        self.facts: dict[str, list[Fact]] = defaultdict(list)
        self.violations: list[str] = []
        seen: dict[bytes, bytes] = {}
        topic = settings.kafka.topic("transcripts")
        read = foreign_reader(settings.registry_url, topic)
        for key, value, kind in records(settings.kafka.bootstrap, topic):
            if value is None or seen.get(key) == value:
                continue
            if key in seen:
                self.violations.append(f"{key!r} stands twice with other content")
            seen[key] = value
            fields = read(value)
            self.facts[fields["job_id"]].append({"kind": kind, **fields})
        for job_id, facts in self.facts.items():
            self._check(job_id, facts)

    def _check(self, job_id: str, facts: list[Fact]) -> None:
        numbers = [fact["seq"] for fact in facts]
        if numbers != list(range(1, len(facts) + 1)):
            self.violations.append(f"{job_id}: numbered {numbers}")
        endings = [fact["kind"] for fact in facts if fact["kind"] in ENDING]
        if len(endings) > 1 + sum(fact["kind"] == "JobRetried" for fact in facts):
            self.violations.append(f"{job_id}: ended as {endings}")
        completed = [(fact["index"], fact["round"]) for fact in facts if fact["kind"] == "ChunkCompleted"]
        if len(completed) != len(set(completed)):
            self.violations.append(f"{job_id}: chunks completed twice: {completed}")

    def status(self, job_id: str) -> str:
        """How the job ended."""
        return next((ENDING[f["kind"]] for f in reversed(self.facts[job_id]) if f["kind"] in ENDING), "open")

    def segments(self, job_id: str) -> dict[str, tuple[int, str]]:
        """Revision and text of each segment as the facts leave it."""
        found: dict[str, tuple[int, str]] = {}
        for fact in self.facts[job_id]:
            for segment_id in fact.get("removed", ()):
                found.pop(segment_id, None)
            for segment in fact.get("segments", ()):
                found[segment["segment_id"]] = (fact["seq"], segment["text"])
        return found


def records(bootstrap: str, topic: str) -> list[tuple[bytes, bytes | None, str]]:
    """Key, value and kind of every record, kinds without namespace."""
    return [
        (message.key() or b"", message.value(), headers_of(message).get("ce_type", "").removeprefix("palimpsest."))
        for message in messages(bootstrap, topic)
    ]


def headers_of(message: Message) -> dict[str, str]:
    """Headers as text."""
    return {name: value.decode() for name, value in cast(list[tuple[str, bytes]], message.headers() or [])}


def messages(bootstrap: str, topic: str) -> list[Message]:
    """Every record of a topic."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "auditor", "enable.auto.commit": False})
    partitions = [TopicPartition(topic, p, 0) for p in consumer.list_topics(topic).topics[topic].partitions]
    ends: Mapping[int, int] = {p.partition: consumer.get_watermark_offsets(p)[1] for p in partitions}
    consumer.assign(partitions)
    found = []
    while any(p.offset < ends[p.partition] for p in consumer.position(partitions) if ends[p.partition]):
        message = consumer.poll(READ_TIMEOUT_S)
        assert message is not None, "the log ends before its end"
        assert message.error() is None, message.error()
        found.append(message)
    consumer.close()
    return found
