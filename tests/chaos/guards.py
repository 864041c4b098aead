"""The checker can fail: with a guard of the product taken out it finds what the guard prevents, with it nothing.

Random faults would find these too rarely, so each is led to the moment at which the guard is needed: inputs that come
twice, a crash between commit and publication, a consumer that wakes up with an old batch in its hands. Not collected
by itself, because it takes a minute: `make chaos-guards` runs it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition

from runtime.settings import Settings
from schemas.identity import job_id_for
from schemas.records import Record
from tests.chaos.checker import bounds, histories, promises
from tests.chaos.checker.evidence import gather
from tests.chaos.checker.violation import Violation
from tests.chaos.unguarded import GATE
from tests.chaos.watch import offsets
from tests.deadline import until
from tests.streams.assembler.given import Inputs
from tests.streams.assembler.running import INPUT_TOPICS, Bus

JOBS = 3
TIMEOUT_S = 120.0
ASSEMBLER = "streams.assembler.worker"
PROJECTOR = "projections.projector"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class Scene:
    """A workspace, the inputs of a few jobs in it, and what the checker needs to judge it."""

    def __init__(self, workspace: Mapping[str, str], folder: Path) -> None:
        self.workspace = dict(workspace)
        self.settings = Settings.read(workspace)
        self.folder = folder
        self.bus = Bus(workspace)
        self.jobs = [Inputs(name=f"key-{number}", tenant_id="court") for number in range(JOBS)]
        for number, job in enumerate(self.jobs):
            job.job_id = job_id_for("court", f"key-{number}")
        (folder / "world.json").write_text(
            json.dumps(
                {
                    "kafka": self.settings.kafka.bootstrap,
                    "prefix": self.settings.kafka.topic_prefix,
                    "registry": self.settings.registry_url,
                }
            )
        )
        (folder / "told.jsonl").write_text(
            "".join(json.dumps(_told(number, job)) + "\n" for number, job in enumerate(self.jobs))
        )

    def send(self, *inputs: Record) -> None:
        self.bus.send(inputs)

    def sample(self) -> None:
        """One look at the stored offsets, as the watch of a run takes them."""
        with (self.folder / "samples.jsonl").open("a") as file:
            print(json.dumps({"offsets": offsets(self.settings.postgres_dsn)}), file=file)

    def behind(self, reader: str, topics: tuple[str, ...]) -> int:
        """How many records a reader has not applied."""
        kafka = self.settings.kafka
        consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "guards"})
        places = [TopicPartition(kafka.topic(t), p) for t in topics for p in range(kafka.partitions)]
        ends = {(p.topic, p.partition): consumer.get_watermark_offsets(p, timeout=30)[1] for p in places}
        consumer.close()
        for name, topic, partition, following in offsets(self.settings.postgres_dsn):
            if name == kafka.group(reader) and topic in topics:
                ends[kafka.topic(str(topic)), int(partition)] -= int(following)
        return sum(ends.values())

    def await_applied(self, reader: str = "assembler", topics: tuple[str, ...] = INPUT_TOPICS) -> None:
        until(lambda: self.behind(reader, topics) == 0 and self._outbox_is_empty(), TIMEOUT_S, f"{reader} is done")

    def violations(self) -> list[Violation]:
        """What the checker says of histories, promises and offsets; printed, because it is the proof."""
        self.sample()
        evidence = gather(self.folder)
        rules = (histories.violations, promises.violations, bounds.violations)
        found = [violation for rule in rules for violation in rule(evidence)]
        for violation in found:
            print(f"  {violation.invariant} {violation.subject}: {violation.text}")
        return found

    def _outbox_is_empty(self) -> bool:
        with psycopg.connect(self.settings.postgres_dsn) as conn:
            return conn.execute("SELECT count(*) FROM assembler_outbox").fetchone() == (0,)


def _told(number: int, job: Inputs) -> dict[str, object]:
    upload = job.upload()
    job.clock -= 1
    line = {"operation": "upload", "outcome": "pending", "tenant": "court", "number": number, "job_id": job.job_id}
    return {
        **line,
        "key": f"key-{number}",
        "sha256": upload.audio.sha256,
        "status": 202,
        "code": "",
        "mark": "",
        "duration_s": 0.0,
    }


@contextmanager
def _process(scene: Scene, module: str, guard: str, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    command = (sys.executable, "-m", "tests.chaos.unguarded", guard, module)
    process = subprocess.Popen(command, env={**os.environ, **scene.workspace, **more})
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def scene(workspace: Mapping[str, str], tmp_path: Path) -> Scene:
    return Scene(workspace, tmp_path)


def _found(violations: list[Violation]) -> set[str]:
    return {violation.invariant for violation in violations}


@pytest.mark.parametrize(("guard", "found"), [("none", set()), ("dedupe", {"I6"}), ("order", {"I4"})])
def test_inputs_that_come_twice(scene: Scene, guard: str, found: set[str]) -> None:
    """Everything is there before anybody reads, and comes again when it was applied."""
    inputs = [record for job in scene.jobs for record in (job.upload(), job.cancelled())]
    scene.send(*inputs)
    with _process(scene, ASSEMBLER, guard):
        scene.await_applied()
        scene.send(*inputs)
        scene.await_applied()
    assert _found(scene.violations()) == found


@pytest.mark.parametrize(("guard", "found"), [("none", set()), ("numbering", {"I4", "I6"})])
def test_requests_that_follow_one_another(scene: Scene, guard: str, found: set[str]) -> None:
    """Each request is applied before the next is sent."""
    with _process(scene, ASSEMBLER, guard):
        for step in (Inputs.upload, Inputs.cancelled, Inputs.retried):
            scene.send(*(step(job) for job in scene.jobs))
            scene.await_applied()
    assert _found(scene.violations()) & {"I4", "I6"} == found & {"I4", "I6"}


@pytest.mark.parametrize(("guard", "found"), [("none", set()), ("leftovers", {"I1"})])
def test_a_crash_between_commit_and_publication(scene: Scene, guard: str, found: set[str]) -> None:
    """The process dies with committed facts that nobody has seen; another takes over."""
    scene.send(*(record for job in scene.jobs for record in (job.upload(), job.cancelled())))
    faults = {
        "PALIMPSEST_FAULT_DIR": str(scene.folder / "faults"),
        "PALIMPSEST_FAULT": "assembler:outbox.produce:before:1",
    }
    with _process(scene, ASSEMBLER, guard, **faults) as process:
        assert process.wait(TIMEOUT_S) != 0
    with _process(scene, ASSEMBLER, guard):
        until(lambda: scene.behind("assembler", INPUT_TOPICS) == 0, TIMEOUT_S, "the inputs are applied")
        if guard == "none":
            scene.await_applied()
    assert _found(scene.violations()) == found


@pytest.mark.parametrize(("guard", "found"), [("none", set()), ("offsets", {"I9", "I20"})])
def test_a_consumer_that_wakes_with_an_old_batch(scene: Scene, guard: str, found: set[str]) -> None:
    """One member freezes with a batch in its hands, its successor does all the work, then the first wakes up."""
    gate = scene.folder / "gate"
    gate.mkdir()
    (gate / "closed").touch()
    name = {"PALIMPSEST_INSTANCE_ID": "the-same"}
    scene.send(*(job.upload() for job in scene.jobs))
    with _process(scene, ASSEMBLER, "none"), _process(scene, PROJECTOR, guard, **{GATE: str(gate)}, **name) as old:
        until((gate / "waiting").exists, TIMEOUT_S, "a batch waits before the gate")
        scene.send(*(job.cancelled() for job in scene.jobs))
        with _process(scene, PROJECTOR, guard, **name):
            scene.await_applied()
            scene.await_applied("projector", ("transcripts",))
            scene.sample()
            (gate / "closed").unlink()
            assert old.wait(TIMEOUT_S) != 0, "who was replaced ends"
    assert _found(scene.violations()) == found
