"""A log to write facts on, and a projector process that reads it."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from runtime.settings import Settings
from tests.e2e.processes import Processes
from tests.projections.log import Log


@pytest.fixture
def settings(workspace: Mapping[str, str]) -> Settings:
    """The workspace's settings."""
    return Settings.read(workspace)


@pytest.fixture
def log(settings: Settings) -> Iterator[Log]:
    """The topic `transcripts` of the workspace."""
    with closing(Log(settings)) as log:
        yield log


@pytest.fixture
def processes(workspace: Mapping[str, str], tmp_path: Path) -> Iterator[Processes]:
    """Starts and kills the projector."""
    processes = Processes(workspace, tmp_path, {"projector": _free_port()})
    yield processes
    processes.stop()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
