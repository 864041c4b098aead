"""Keys: well formed, shown once, bound to one tenant, ended at once."""

import random
from collections.abc import Mapping

import httpx
import psycopg
from hypothesis import given
from hypothesis import strategies as st

from api.accounts.keys import create_key, list_keys, revoke_key
from api.accounts.secrets import new_key, parse_key
from tests.api.conftest import Server
from tests.deadline import until

REVOKED_WITHIN_S = 5.0


@given(st.integers())
def test_a_new_key_is_recognised(seed: int) -> None:
    key = new_key(random.Random(seed).choice)
    assert parse_key(key.text) == key
    assert len(key.text) == 62


@given(st.integers(), st.integers(0, 61), st.characters(codec="ascii", categories=["L", "N"]))
def test_a_mistyped_key_is_not(seed: int, place: int, typed: str) -> None:
    text = new_key(random.Random(seed).choice).text
    changed = text[:place] + typed + text[place + 1 :]
    assert changed == text or parse_key(changed) is None


@given(st.text())
def test_anything_else_is_not(text: str) -> None:
    assert parse_key(text) is None


def test_only_the_hash_is_kept(workspace: Mapping[str, str]) -> None:
    dsn = workspace["PALIMPSEST_POSTGRES_DSN"]
    text = create_key(dsn, "acme", "laptop")
    with psycopg.connect(dsn) as conn:
        stored = conn.execute("SELECT * FROM api_keys").fetchall()
    assert text.split("_")[2][:43] not in str(stored)
    (listed,) = list_keys(dsn, "acme")
    assert (listed.key_id, listed.name, listed.revoked_at) == (text.split("_")[1], "laptop", None)


def test_a_revoked_key_ends_within_seconds(server: Server) -> None:
    dsn = server.settings.postgres_dsn
    text = create_key(dsn, "acme", "stolen")
    with httpx.Client(base_url=server.url, headers={"X-API-Key": text}) as client:
        assert client.get("/v1/transcriptions").status_code == 200
        assert revoke_key(dsn, text.split("_")[1]) and not revoke_key(dsn, text.split("_")[1])
        until(lambda: client.get("/v1/transcriptions").status_code == 401, REVOKED_WITHIN_S, "the key has ended")


def test_the_right_id_with_another_secret_is_refused(server: Server) -> None:
    text = create_key(server.settings.postgres_dsn, "acme", "real")
    own_id = iter(text.split("_")[1])
    rest = random.Random(1)
    forged = new_key(lambda alphabet: next(own_id, None) or rest.choice(alphabet))
    assert forged.key_id == text.split("_")[1] and parse_key(forged.text) is not None
    answer = httpx.get(f"{server.url}/v1/transcriptions", headers={"Authorization": f"Bearer {forged.text}"})
    assert answer.status_code == 401
