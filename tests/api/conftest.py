"""A running API on an own workspace, with keys of two tenants."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from api.accounts.keys import create_key
from local.stack import Stack
from local.supervisor import log_tail
from local.workspace import fresh_workspace
from projections.applying import apply_facts
from projections.search.index import ALIAS, INDEX, index_body
from runtime import postgres
from runtime.opensearch import SearchEngine
from runtime.settings import Settings
from schemas.records import TranscriptRecord
from tests.deadline import until
from tests.e2e.conftest import free_ports

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
MAX_UPLOAD_BYTES = 300_000_000


@dataclass(frozen=True, kw_only=True)
class Server:
    """An API process, the settings it runs with, and a way to give its views facts without a log."""

    url: str
    process: subprocess.Popen[bytes]
    environment: Mapping[str, str]
    log: Path

    @property
    def settings(self) -> Settings:
        return Settings.read(self.environment)

    def client(self, tenant: str = "acme", **headers: str) -> httpx.Client:
        """A client with a fresh key of a tenant."""
        key = create_key(self.settings.postgres_dsn, tenant, "test")
        return httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {key}", **headers},
            timeout=60,
            event_hooks={"response": [self._why_away]},
        )

    def _why_away(self, answer: httpx.Response) -> None:
        """Shows beside a failure what the process itself says of it: an answer does not name the engine."""
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            print(log_tail(self.log))

    def show(self, *facts: TranscriptRecord) -> None:
        """What the projector does with facts."""
        with postgres.connection(self.settings.postgres_dsn) as conn:
            apply_facts(conn, 0, facts)
            for fact in facts:
                conn.execute("SELECT pg_notify('palimpsest_outcome', %s)", (fact.cause_id,))

    def rss_bytes(self) -> int:
        """Resident memory of the process."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGESIZE")


@contextmanager
def running_api(environment: Mapping[str, str], folder: Path, ready: str = "/ready") -> Iterator[Server]:
    """An API process with these settings; `ready` is what must answer 200 before it counts as started."""
    port = free_ports(["api"])["api"]
    values = {**environment, "PALIMPSEST_API_PORT": str(port)}
    log = folder / "api.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            (sys.executable, "-m", "api.main"), env={**os.environ, **values}, stdout=out, stderr=out
        )
    server = Server(url=f"http://127.0.0.1:{port}", process=process, environment=values, log=log)
    try:
        until(lambda: _started(server, ready), START_TIMEOUT_S, "the API is ready")
        yield server
    finally:
        process.terminate()
        assert process.wait(STOP_TIMEOUT_S) == 0, log.read_text()


def _started(server: Server, ready: str) -> bool:
    assert server.process.poll() is None, server.log.read_text()
    try:
        return httpx.get(server.url + ready, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="session")
def server(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One API for all tests that only read views or upload."""
    with fresh_workspace(stack.shared_settings()) as workspace:
        SearchEngine(Settings.read(workspace).opensearch).create_index(INDEX, index_body(), ALIAS)
        limits = {"PALIMPSEST_MAX_UPLOAD_BYTES": str(MAX_UPLOAD_BYTES)}
        with running_api({**workspace, **limits}, tmp_path_factory.mktemp("api")) as server:
            yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """A client of the tenant `acme`."""
    with closing(server.client()) as client:
        yield client


@pytest.fixture
def stranger(server: Server) -> Iterator[httpx.Client]:
    """A client of another tenant."""
    with closing(server.client("umbrella")) as client:
        yield client
