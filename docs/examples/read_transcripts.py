"""Reads every transcript straight from Kafka, with nothing of Palimpsest's installed.

Needs `pip install "confluent-kafka[avro,schemaregistry]"`. Call it with the broker, the registry and the topic:

    python docs/examples/read_transcripts.py 127.0.0.1:17410 http://127.0.0.1:17420/apis/ccompat/v7 transcripts
"""

import sys
from collections import defaultdict

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext


def records(bootstrap: str, topic: str):
    """Kind and value of every record now on the topic."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "example", "enable.auto.commit": False})
    partitions = [TopicPartition(topic, p) for p in consumer.list_topics(topic).topics[topic].partitions]
    ends = {p.partition: consumer.get_watermark_offsets(p) for p in partitions}
    left = {number: high for number, (low, high) in ends.items() if high > low}
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in left])
    while left:
        message = consumer.poll(10)
        if message is None:
            raise TimeoutError("the broker sends nothing")
        if message.error():
            raise RuntimeError(message.error())
        kind = dict(message.headers() or ()).get("ce_type", b"").decode()
        yield kind.rpartition(".")[2], message.value()
        if message.offset() + 1 >= left.get(message.partition(), 0):
            left.pop(message.partition(), None)
    consumer.close()


def fold(facts: dict) -> tuple[list, dict]:
    """Segments in order and speakers' names, as they stand after these facts (by seq)."""
    segments, names = {}, {}
    for kind, fact in (facts[seq] for seq in sorted(facts)):
        if kind in ("SegmentsPublished", "SegmentsRevised"):
            segments = {key: s for key, s in segments.items() if key not in fact.get("removed", ())}
            segments |= {segment["segment_id"]: segment for segment in fact["segments"]}
        elif kind == "TranscriptCompleted":
            names = {speaker["speaker_id"]: speaker["label"] for speaker in fact["speakers"]} | names
        elif kind == "SpeakerNamed":
            names[fact["speaker_id"]] = fact["name"]
        elif kind == "JobErased":
            segments, names = {}, {}
    return sorted(segments.values(), key=lambda segment: segment["start_ms"]), names


def main() -> None:
    bootstrap, registry, topic = sys.argv[1:]
    decode = AvroDeserializer(SchemaRegistryClient({"url": registry, "timeout": 5}))
    context = SerializationContext(topic, MessageField.VALUE)
    jobs = defaultdict(dict)
    for kind, value in records(bootstrap, topic):
        if value is not None:  # a tombstone of an erased job, or a nudge
            fact = decode(value, context)
            jobs[fact["job_id"]].setdefault(fact["seq"], (kind, fact))
    for job_id, facts in jobs.items():
        print(f"{job_id}: {len(facts)} facts, the last is {facts[max(facts)][0]}")
        segments, names = fold(facts)
        for segment in segments:
            who = names.get(segment["speaker_id"]) or segment["speaker_id"] or "-"
            print(f"  {segment['start_ms'] / 1000:8.2f}  {who}: {segment['text']}")


if __name__ == "__main__":
    main()
