"""The assembler as a process on real engines."""

import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

import httpx
import pytest

from runtime.kafka import Outgoing
from runtime.postgres import connection
from schemas import records
from schemas.evidence import pack
from schemas.topics import DEAD_LETTERS, TRANSCRIPTS
from streams.assembler.attempts import MAX_ATTEMPTS
from streams.assembler.store import Slot, Store
from tests.deadline import until
from tests.e2e.conftest import free_ports
from tests.streams.assembler.given import CHUNK_MS, Inputs, evidence
from tests.streams.assembler.running import Bus, assembler


@pytest.fixture(scope="module")
def bus(module_workspace: Mapping[str, str]) -> Iterator[Bus]:
    with assembler(module_workspace):
        yield Bus(module_workspace)


def two_speakers(bus: Bus, job: Inputs) -> list[records.Record]:
    """Everything a job of two chunks and two speakers gets, evidence stored."""
    spans = [(0, 2_000, 0), (2_000, 5_000, 1), (31_000, 33_000, 1)]
    inputs: list[records.Record] = [job.upload(), job.prepared()]
    for index in range(job.chunks):
        found = evidence(spans, max(0, index * CHUNK_MS - 5_000), (index + 1) * CHUNK_MS + 5_000)
        stored = bus.objects.put(f"{job.tenant_id}/{job.job_id}/evidence/{index}", pack(found))
        inputs += [job.transcribed(index), job.diarized(index, evidence=stored)]
    return inputs


def test_a_job_becomes_a_transcript_with_speakers(bus: Bus) -> None:
    job = Inputs("whole")
    bus.send(two_speakers(bus, job))
    facts = bus.wait_for(job.job_id, records.TranscriptCompleted)
    assert [type(fact).__name__ for fact in facts] == [
        "JobAccepted",
        "AudioReady",
        "ChunkCompleted",
        "ChunkCompleted",
        "SegmentsPublished",
        "TranscriptCompleted",
    ]
    assert [fact.seq for fact in facts] == [1, 2, 3, 4, 5, 6]
    done = facts[-1]
    assert isinstance(done, records.TranscriptCompleted)
    assert [speaker.speaker_id for speaker in done.speakers] == ["spk1", "spk2"]
    assert (done.gaps, done.warnings, done.language) == ((), (), "en")


def test_sigterm_drains_and_exits_cleanly(workspace: Mapping[str, str]) -> None:
    bus = Bus(workspace)
    job = Inputs("drained")
    with assembler(workspace) as process:
        bus.send([job.upload()])
        bus.wait_for(job.job_id, records.JobAccepted)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


BUSY = """
from streams.assembler import worker
worker.CHORE_PERIOD_S = 0.1
if __name__ == "__main__":
    worker.main()
"""
SEVERAL_CHORES_S = 3.0


def test_what_waits_is_counted_while_no_broker_is_there(workspace: Mapping[str, str]) -> None:
    out = Outgoing(topic=TRANSCRIPTS, partition=0, key=b"job/1", value=b"fact")
    with connection(workspace["PALIMPSEST_POSTGRES_DSN"]) as conn:
        Store().put_out(conn, [Slot(job_id="job", seq=1, ordinal=0, partition=0, out=out)])
    ports = free_ports(["health", "nobody"])
    settings = {
        "PALIMPSEST_KAFKA_BOOTSTRAP": f"127.0.0.1:{ports['nobody']}",
        "PALIMPSEST_HEALTH_PORT": str(ports["health"]),
    }
    with assembler({**workspace, **settings}, "-c", BUSY):
        until(lambda: _shows(ports["health"], "palimpsest_outbox_depth 1.0"), 30, "the waiting fact is counted")
        time.sleep(SEVERAL_CHORES_S)
        assert _shows(ports["health"], "palimpsest_outbox_depth 1.0")


def _shows(port: int, line: str) -> bool:
    try:
        return line in httpx.get(f"http://127.0.0.1:{port}/metrics").text.splitlines()
    except httpx.TransportError:
        return False


DEADLY = """
import os, signal
from streams.assembler import batch, worker
decide = batch.decide
def deadly(state, given):
    if getattr(given, "reason", None) == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)
    return decide(state, given)
batch.decide = deadly
if __name__ == "__main__":
    worker.main()
"""


def test_an_input_that_takes_the_process_down_is_answered_in_the_end(workspace: Mapping[str, str]) -> None:
    """As a crash of native code or an out-of-memory kill does it: the job is told, the others go on."""
    bus, struck, other = Bus(workspace), Inputs("struck"), Inputs("other")
    deadly = replace(struck.cancelled(), reason="deadly")
    bus.send([struck.upload(), struck.prepared(), deadly, *two_speakers(bus, other)])
    began_s, deaths = time.monotonic(), 0
    while not bus.facts()[other.job_id]:
        with assembler({**workspace, "PALIMPSEST_INSTANCE_ID": "one"}, "-c", DEADLY) as process:
            until(lambda: process.poll() or bus.facts()[other.job_id], 120.0, "an end")
            deaths += process.poll() is not None
    print(f"the others waited {time.monotonic() - began_s:.1f} s for an input that was deadly {deaths} times")
    [answer] = [fact for fact in bus.facts()[struck.job_id] if isinstance(fact, records.RequestRefused)]
    assert (answer.code, answer.cause_id) == ("internal", deadly.event_id)
    [dead] = bus.raw(DEAD_LETTERS)
    assert dict(dead.headers)["__dlq.errors.exception"] == b"ProcessEnded"
    assert MAX_ATTEMPTS <= deaths <= MAX_ATTEMPTS + 1


NARROW = """
from streams.assembler import worker, workshop
workshop.MAX_WAITING = 1
if __name__ == "__main__":
    worker.main()
"""


def test_assemblies_for_which_there_is_no_room_wait_in_the_database(workspace: Mapping[str, str]) -> None:
    bus = Bus(workspace)
    jobs = [Inputs(f"waiting {n}") for n in range(8)]
    for given in [two_speakers(bus, job) for job in jobs]:
        bus.send(given)
    with assembler(workspace, "-c", NARROW):
        for job in jobs:
            bus.wait_for(job.job_id, records.TranscriptCompleted, 60.0)


def test_kills_and_repetitions_change_no_history(workspace: Mapping[str, str]) -> None:
    """Killed twice while jobs run, every input sent twice: each job completes, no number carries two contents."""
    bus = Bus(workspace)
    jobs = [Inputs(f"killed {n}") for n in range(6)]
    inputs = [two_speakers(bus, job) for job in jobs]
    for part in (slice(0, 2), slice(2, 4)):
        with assembler(workspace) as process:
            for given in inputs:
                bus.send(given[part])
            bus.wait_for(jobs[0].job_id, records.AudioReady)
            process.send_signal(signal.SIGKILL)
            process.wait()
    with assembler(workspace):
        for given in inputs:
            bus.send(given)
        for job in jobs:
            bus.wait_for(job.job_id, records.TranscriptCompleted, 60.0)
    contents: dict[bytes | None, set[bytes | None]] = {}
    for record in bus.raw(TRANSCRIPTS):
        contents.setdefault(record.key, set()).add(record.value)
    assert all(len(values) == 1 for values in contents.values())
    for job in jobs:
        seqs = sorted({fact.seq for fact in bus.facts()[job.job_id]})
        assert seqs == [1, 2, 3, 4, 5, 6]
