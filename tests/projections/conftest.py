"""A log to write facts on, and a projector process that reads it."""

from collections.abc import Callable, Iterator, Mapping
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
def projector_of(tmp_path: Path) -> Iterator[Callable[[Mapping[str, str]], Processes]]:
    """Projectors with any settings; each is stopped at the end."""
    made: list[Processes] = []

    def make(settings: Mapping[str, str]) -> Processes:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Processes(settings, folder, {"projector": 0}))
        return made[-1]

    yield make
    for processes in made:
        processes.stop()


@pytest.fixture
def processes(workspace: Mapping[str, str], projector_of: Callable[[Mapping[str, str]], Processes]) -> Processes:
    """The projector of the workspace."""
    return projector_of(workspace)
