"""What all integration tests stand on: running engines, and a workspace of one's own on them."""

import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from local.layout import CHECKOUT
from local.stack import Stack
from local.workspace import fresh_workspace

# Beside a demo or a stack in use: its own folder, its own ports. Several checkouts may share one.
TEST_HOME = Path(os.environ.get("PALIMPSEST_TEST_HOME", CHECKOUT / ".palimpsest" / "test"))
TEST_PORT_BASE = int(os.environ.get("PALIMPSEST_TEST_PORT_BASE", "17500"))

# How long an example takes says more about what else the machine does.
settings.register_profile("palimpsest", deadline=None)
settings.load_profile("palimpsest")


# Files that take a minute or so: begun last, one of them would keep everybody waiting at the end.
LONG = (
    "e2e",
    "chaos",
    "bench",
    "streams/speech/test_worker_faults.py",
    "streams/chunker/test_app.py",
    "streams/assembler",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first, in any number of processes; within a file nothing changes."""
    here = Path(__file__).parent
    items.sort(key=lambda item: not item.path.relative_to(here).as_posix().startswith(LONG))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """Where tests run side by side, whoever hands them out starts the engines for all."""
    engines = Stack(TEST_HOME, TEST_PORT_BASE)
    if not engines.is_running():
        engines.start_engines()
        config.add_cleanup(partial(_end, engines))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """A process of the tests that dies ends the run: its successor would be waited for without end."""
    if error:
        pytest.exit(f"a process of the tests died: {node.gateway.id}: {error}", pytest.ExitCode.INTERNAL_ERROR)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """After such an end the list of failures lacks what never ran, and may not be run once more in place of all."""
    if exitstatus == pytest.ExitCode.INTERNAL_ERROR:
        session.config.cache.set("cache/lastfailed", {})


def _end(engines: Stack) -> None:
    engines.stop()
    engines.wipe()


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The engines: those that run in the test home already, else started once and stopped at the end."""
    engines = Stack(TEST_HOME, TEST_PORT_BASE)
    ran_before = engines.is_running()
    engines.start_engines()
    yield engines
    if not ran_before:
        _end(engines)


@pytest.fixture
def workspace(stack: Stack) -> Iterator[Mapping[str, str]]:
    """Settings with fresh topics, database, index names and bucket, for one test."""
    with fresh_workspace(stack.shared_settings()) as settings:
        yield settings


@pytest.fixture(scope="module")
def module_workspace(stack: Stack) -> Iterator[Mapping[str, str]]:
    """The same for a whole module: for tests that share running processes."""
    with fresh_workspace(stack.shared_settings()) as settings:
        yield settings
