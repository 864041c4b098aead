"""What the API does while something it needs is away: it stays up, says what is away, and refuses before the body."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg import sql

from bench.load import refused_before_the_body
from local.stack import Stack
from local.workspace import ADMIN_DATABASE, database_of, fresh_workspace, with_database
from runtime import postgres
from tests.api.conftest import Server, running_api
from tests.api.test_outcomes import BREAK
from tests.api.test_problems import check_problem
from tests.deadline import until
from tests.projections.facts import conversation

CLOSED = "127.0.0.1:9"  # nobody listens on the port `discard`
AWAY = {
    "kafka": {"PALIMPSEST_KAFKA_BOOTSTRAP": CLOSED},
    "objects_and_search": {
        "PALIMPSEST_S3_ENDPOINT": f"http://{CLOSED}",
        "PALIMPSEST_OPENSEARCH_URL": f"http://{CLOSED}",
    },
    "registry": {"PALIMPSEST_REGISTRY_URL": f"http://{CLOSED}/apis/ccompat/v7"},
    "postgres": {"PALIMPSEST_POSTGRES_DSN": f"postgresql://nobody@{CLOSED}/nothing"},
}


@pytest.fixture(scope="module")
def workspace(stack: Stack) -> Iterator[dict[str, str]]:
    with fresh_workspace(stack.shared_settings()) as workspace:
        yield workspace


@contextmanager
def without(workspace: dict[str, str], what: str, folder: Path) -> Iterator[tuple[Server, httpx.Client]]:
    """An API whose settings lead nowhere for `what`, and a client of it."""
    with running_api({**workspace, **AWAY[what]}, folder, ready="/health") as server:
        true = Server(url=server.url, process=server.process, environment=workspace, log=server.log)
        with true.client() as client:
            yield true, client


def test_without_kafka_uploads_are_refused_before_their_bytes(workspace: dict[str, str], tmp_path: Path) -> None:
    with without(workspace, "kafka", tmp_path) as (server, client):
        ready = client.get("/ready")
        assert (ready.status_code, ready.json()["kafka"], ready.json()["postgres"]) == (503, False, True)
        assert _refused_early(client)
        server.show(*(job := conversation(1)).facts)
        assert client.get(f"/v1/transcriptions/{job.job_id}").status_code == 200
        named = client.put(f"/v1/transcriptions/{job.job_id}/speakers/spk1", json={"name": "x"})
        check_problem(named, 503, "unavailable")


def test_a_command_that_may_be_in_the_log_keeps_its_request_id(workspace: dict[str, str], tmp_path: Path) -> None:
    with without(workspace, "kafka", tmp_path) as (server, client):
        server.show(*(job := conversation(3)).facts)
        seen = set()
        for _ in range(2):
            where, headers = f"/v1/transcriptions/{job.job_id}/feedback", {"Idempotency-Key": "judged"}
            check_problem(client.post(where, json={"rating": 5}, headers=headers), 503, "unavailable")
            with postgres.connection(server.settings.postgres_dsn) as conn:
                seen |= set(conn.execute("SELECT request_id FROM idempotency_keys WHERE key = 'judged'").fetchall())
        assert len(seen) == 1


def _refused_early(client: httpx.Client) -> bool:
    """Whether an upload is refused of which only the head was sent."""
    key = client.headers["authorization"].removeprefix("Bearer ")
    return refused_before_the_body(str(client.base_url), key) == (503, "unavailable")


@pytest.mark.parametrize("what", [what for what in AWAY if what != "postgres"])
def test_an_archive_that_could_not_be_made_whole_is_refused(
    what: str, workspace: dict[str, str], tmp_path: Path
) -> None:
    with without(workspace, what, tmp_path) as (server, client):
        server.show(*(job := conversation(4)).facts)
        for path in (f"/v1/transcriptions/{job.job_id}/archive", "/v1/archive"):
            check_problem(client.get(path), 503, "unavailable")


def test_without_stores_only_what_needs_them_is_refused(workspace: dict[str, str], tmp_path: Path) -> None:
    with without(workspace, "objects_and_search", tmp_path) as (server, client):
        until(lambda: client.get("/ready").json()["kafka"], 10, "the broker is found")
        ready = client.get("/ready").json()
        assert not ready["objects"] and not ready["search"]
        assert _refused_early(client)
        headers = {"Idempotency-Key": "later"}
        check_problem(client.post("/v1/transcriptions", content=b"x", headers=headers), 503, "unavailable")
        again = client.post("/v1/transcriptions", content=b"x", headers=headers)
        check_problem(again, 503, "unavailable")  # and not 409: the key was given back
        check_problem(client.get("/v1/search?q=x"), 503, "unavailable")
        server.show(*(job := conversation(2)).facts)
        assert client.get(f"/v1/transcriptions/{job.job_id}/transcript").status_code == 200
        assert server.process.poll() is None


def test_without_the_registry_nothing_can_be_appended(workspace: dict[str, str], tmp_path: Path) -> None:
    with without(workspace, "registry", tmp_path) as (_, client):
        assert client.get("/ready").json()["registry"] is False
        assert _refused_early(client)
        check_problem(client.post("/v1/transcriptions", content=b"x"), 503, "unavailable")
        assert client.get("/v1/transcriptions").status_code == 200


def test_without_the_database_everything_is_refused_and_the_process_lives(
    workspace: dict[str, str], tmp_path: Path
) -> None:
    with ExitStack() as stack:
        server, client = stack.enter_context(without(workspace, "postgres", tmp_path))
        assert client.get("/health").status_code == 200
        assert client.get("/ready").json()["postgres"] is False
        check_problem(client.get("/v1/archive"), 503, "unavailable")
        answer = client.get("/v1/transcriptions")
        check_problem(answer, 503, "unavailable")
        assert int(answer.headers["retry-after"]) > 0
        assert "discard" not in answer.text and CLOSED not in answer.text
        assert server.process.poll() is None


def test_a_lost_listener_refuses_no_upload(workspace: dict[str, str], tmp_path: Path) -> None:
    with running_api(workspace, tmp_path) as server, server.client() as client:
        with _no_new_connections(server.settings.postgres_dsn) as conn:
            conn.execute(BREAK)
            until(lambda: not client.get("/ready").json()["outcomes"], 10, "it is noticed")
            assert client.post("/v1/transcriptions", content=b"x").status_code == 202
            assert client.get("/ready").json()["outcomes"] is False
        until(lambda: client.get("/ready").status_code == 200, 10, "it listens again")


@contextmanager
def _no_new_connections(dsn: str) -> Iterator[psycopg.Connection]:
    """The last connection to a database, while those that are there go on."""
    name = sql.Identifier(database_of(dsn))
    with (
        psycopg.connect(dsn, autocommit=True) as conn,
        psycopg.connect(with_database(dsn, ADMIN_DATABASE), autocommit=True) as admin,
    ):
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        try:
            yield conn
        finally:
            admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))
