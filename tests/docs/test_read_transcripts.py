"""docs/examples/read_transcripts.py, run as a stranger would: in a process of its own, on real facts."""

import ast
import subprocess
import sys
from collections.abc import Mapping

from runtime.kafka import EventProducer, Outgoing, outgoing
from runtime.registry import Registry
from runtime.settings import Settings
from schemas.codec import Codec
from schemas.identity import event_id, nudge_key
from schemas.records import JobErased, SegmentsPublished, SegmentsRevised, SpeakerNamed, TranscriptCompleted
from schemas.topics import TRANSCRIPTS
from schemas.values import Segment, Speaker
from tests.docs.shell import ROOT

SCRIPT = ROOT / "docs" / "examples" / "read_transcripts.py"
KEPT, ERASED = "0b0f6f0e-6a52-5f6d-8d35-2f1b8f1a0001", "0b0f6f0e-6a52-5f6d-8d35-2f1b8f1a0002"
Said = SegmentsPublished | SegmentsRevised | SpeakerNamed | TranscriptCompleted | JobErased


def _segment(segment_id: str, start_ms: int, text: str) -> Segment:
    return Segment(segment_id=segment_id, start_ms=start_ms, end_ms=start_ms + 900, speaker_id="spk1", text=text)


def _facts() -> list[Said]:
    def stamp(job_id: str, seq: int) -> dict[str, str | int]:
        named = {"job_id": job_id, "tenant_id": "t", "actor": "assembler", "cause_id": job_id}
        return {**named, "event_id": event_id(job_id, "fact", seq), "occurred_at": 1_760_000_000_000, "seq": seq}

    first, second = _segment("s1-0", 0, "Hello there."), _segment("s1-1", 1_000, "This is Dinah.")
    done = TranscriptCompleted(
        **stamp(KEPT, 2),  # type: ignore[arg-type]
        round=0,
        duration_ms=2_000,
        speakers=(Speaker(speaker_id="spk1", label="Speaker 1", speech_ms=1_800),),
        segment_count=2,
        word_count=5,
    )
    corrected = _segment("s3-0", 1_000, "This is Diane.")
    return [
        # On purpose not in the order of their numbers: compaction and repetition may move facts.
        SegmentsRevised(**stamp(KEPT, 3), removed=("s1-1",), segments=(corrected,)),  # type: ignore[arg-type]
        SegmentsPublished(**stamp(KEPT, 1), round=0, segments=(first, second)),  # type: ignore[arg-type]
        SpeakerNamed(**stamp(KEPT, 4), speaker_id="spk1", name="Diane"),  # type: ignore[arg-type]
        done,
        SegmentsPublished(**stamp(ERASED, 1), round=0, segments=(first,)),  # type: ignore[arg-type]
        JobErased(**stamp(ERASED, 2), erased_facts=1),  # type: ignore[arg-type]
    ]


def _publish(settings: Settings) -> None:
    codec, producer = Codec(Registry(settings.registry_url, wait=False)), EventProducer(settings.kafka)
    for fact in _facts():
        producer.send(outgoing(fact, TRANSCRIPTS, codec, settings.kafka.partitions, "test"))
    producer.send(Outgoing(topic=TRANSCRIPTS, partition=0, key=nudge_key(0), value=None))
    producer.flush()


def test_the_example_prints_the_transcript_as_it_stands(workspace: Mapping[str, str]) -> None:
    settings = Settings.read(workspace)
    _publish(settings)
    arguments = [settings.kafka.bootstrap, settings.registry_url, settings.kafka.topic(TRANSCRIPTS)]
    done = subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    start = lines.index(f"{KEPT}: 4 facts, the last is SpeakerNamed")
    assert [line.strip() for line in lines[start + 1 : start + 3]] == [
        "0.00  Diane: Hello there.",
        "1.00  Diane: This is Diane.",
    ]
    assert f"{ERASED}: 2 facts, the last is JobErased" in lines
    assert "Dinah" not in done.stdout


def test_the_example_imports_nothing_of_ours() -> None:
    tree = ast.parse(SCRIPT.read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {str(module).partition(".")[0] for module in imported} == {"collections", "confluent_kafka"}
