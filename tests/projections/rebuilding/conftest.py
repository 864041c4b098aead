"""Views with a running projector, and jobs on the log, for a module of rebuilds."""

from collections.abc import Iterator, Mapping
from contextlib import closing

import pytest

from runtime.settings import Settings
from tests.e2e.processes import Processes
from tests.projections.log import Log


@pytest.fixture(scope="module")
def settings(module_workspace: Mapping[str, str]) -> Settings:
    """The workspace's settings."""
    return Settings.read(module_workspace)


@pytest.fixture(scope="module")
def log(settings: Settings) -> Iterator[Log]:
    """The topic `transcripts` of the workspace."""
    with closing(Log(settings)) as log:
        yield log


@pytest.fixture(scope="module")
def projector(module_workspace: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """A projector that runs all the time."""
    processes = Processes(module_workspace, tmp_path_factory.mktemp("logs"), {"projector": 0})
    processes.start("projector")
    yield processes
    ended = processes.ended()
    processes.stop()
    assert ended == []
