"""A broker that lost the end of a log, as after a loss of power, and wrote more since than it had lost.

Not collected by itself: `make chaos-guards` runs it.
"""

import os
import signal
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import supervisor
from local.stack import Stack
from local.workspace import fresh_workspace
from runtime.settings import Settings
from runtime.topic_reader import read_topic
from tests.port_bases import free_port_base
from tests.runtime.test_consumer import Recorder, numbered, running, send

_LENGTH = struct.Struct(">8xi")  # of a batch of records on the disk, after its first offset
pytestmark = pytest.mark.slow


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Stack]:
    """A broker of one's own; everything else is shared."""
    broker = Stack(tmp_path / "home", free_port_base())
    broker.start_engines(("kafka",))
    yield broker
    broker.stop()


def test_what_was_written_over_a_lost_end_takes_effect(stack: Stack, broker: Stack) -> None:
    kafka = {"PALIMPSEST_KAFKA_BOOTSTRAP": broker.shared_settings()["PALIMPSEST_KAFKA_BOOTSTRAP"]}
    with fresh_workspace(stack.shared_settings() | kafka) as workspace:
        settings = Settings.read(workspace)
        handler = Recorder(settings)
        one_by_one(settings, numbered(0, 10))
        with running(settings, handler) as loop:
            loop.until(lambda: len(handler.values()) == 10, "ten records")

        (log,) = broker.layout.data.rglob(f"{settings.kafka.topic('controls')}-0/*.log")
        os.kill(supervisor.state_of(broker.layout, "kafka").pid, signal.SIGKILL)
        cut(log, kept=6)
        one_by_one(settings, numbered(10, 18))  # as soon as it is back
        left = [record.value for record in read_topic(settings.kafka, "controls")]
        assert left == numbered(0, 6) + numbered(10, 18)

        with running(settings, handler) as loop:
            loop.until(lambda: b"17" in handler.values(), "what was written since")
        assert handler.values()[10:] == left


def one_by_one(settings: Settings, values: list[bytes]) -> None:
    """Each in a batch of its own."""
    for value in values:
        send(settings, [value])


def cut(log: Path, kept: int) -> None:
    """Leaves the first batches of a log."""
    data, end = log.read_bytes(), 0
    for _ in range(kept):
        end += _LENGTH.size + int(_LENGTH.unpack_from(data, end)[0])
    os.truncate(log, end)
