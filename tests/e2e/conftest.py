"""A whole pipeline for a module of tests: the stack's engines, a fresh workspace, our processes."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from api.accounts.keys import create_key
from local.processes import PROCESSES
from local.settings import STUB_ENGINES
from runtime.settings import Settings
from tests.e2e.client import Client
from tests.e2e.processes import Processes

TENANT = "court"
RESTART_PAUSE_S = 0.5


class Pipeline:
    """Running processes, and the settings they share."""

    def __init__(self, settings: Mapping[str, str], processes: Processes) -> None:
        self.environment = settings
        self.settings = Settings.read(settings)
        self.processes = processes

    def client(self, tenant: str = TENANT) -> Client:
        """A client with a fresh key of a tenant."""
        return Client(self.processes.api_url, self.new_key(tenant))

    def new_key(self, tenant: str = TENANT) -> str:
        """A fresh key of a tenant."""
        return create_key(self.settings.postgres_dsn, tenant, "test")


def free_ports(names: list[str]) -> dict[str, int]:
    """A free port for each name."""
    with ExitStack() as open_sockets:
        sockets = {name: open_sockets.enter_context(socket.socket()) for name in names}
        for listener in sockets.values():
            listener.bind(("127.0.0.1", 0))
        return {name: listener.getsockname()[1] for name, listener in sockets.items()}


@contextmanager
def running_pipeline(settings: Mapping[str, str], folder: Path) -> Iterator[Pipeline]:
    """All our processes, ready; stopped in order at the end."""
    processes = Processes(settings, folder, free_ports(list(PROCESSES)))
    try:
        processes.start(*PROCESSES)
        processes.wait_ready(*PROCESSES)
        yield Pipeline(settings, processes)
    finally:
        processes.stop()


@contextmanager
def restarted(pipeline: Pipeline) -> Iterator[None]:
    """Does what the supervisor does: starts again what ended."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(RESTART_PAUSE_S):
            pipeline.processes.restart_ended()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.fixture(scope="module")
def stub_pipeline(module_workspace: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """The pipeline with the stub speech engine."""
    with running_pipeline({**module_workspace, **STUB_ENGINES}, tmp_path_factory.mktemp("logs")) as pipeline:
        yield pipeline


@pytest.fixture(scope="module")
def real_pipeline(module_workspace: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """The pipeline with the real models."""
    with running_pipeline(module_workspace, tmp_path_factory.mktemp("logs")) as pipeline:
        yield pipeline
