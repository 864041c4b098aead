"""What an archive is made of, piece by piece, on a real store."""

import io
import json
import zipfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace

import pytest

from api import holdings
from api.holdings import Wanted, _objects, archive
from runtime.errors import Unavailable
from runtime.kafka import EventProducer, Incoming, dead_letter
from runtime.objects import ObjectStore
from runtime.postgres import connection
from runtime.settings import Settings
from schemas.topics import CONTROLS
from tests.runtime.withholding import withholding

_KEY = """
    INSERT INTO idempotency_keys (tenant_id, key, request_id, holder, leased_until) VALUES (%s, %s, 'r', 'h', now())
"""


def test_an_object_that_goes_meanwhile_is_left_out(workspace: Mapping[str, str]) -> None:
    with closing(ObjectStore(Settings.read(workspace).objects)) as store:
        for name in ("audio", "chunks/0", "chunks/1"):
            store.put(f"acme/job/{name}", name.encode())
        found = _objects(store, Wanted(tenant_id="acme", job_ids=("job",), whole_tenant=False))
        name, content = next(found)
        store.delete(["acme/job/chunks/0"])
        assert (name, b"".join(content)) == ("objects/job/audio", b"audio")
        assert [(name, b"".join(content)) for name, content in found] == [("objects/job/chunks/1", b"chunks/1")]


def test_an_object_that_is_withheld_is_named(workspace: Mapping[str, str]) -> None:
    settings = Settings.read(workspace).objects
    with closing(ObjectStore(settings)) as store:
        for name in ("audio", "chunks/0"):
            store.put(f"acme/job/{name}", name.encode())
    with withholding(settings.endpoint, settings.bucket) as front:
        front.prefix = "acme/job/audio"
        with closing(ObjectStore(replace(settings, endpoint=front.endpoint))) as store:
            found = _objects(store, Wanted(tenant_id="acme", job_ids=("job",), whole_tenant=False))
            assert [(name, b"".join(content)) for name, content in found] == [
                ("objects/job/audio.withheld", b""),
                ("objects/job/chunks/0", b"chunks/0"),
            ]


def test_a_database_that_goes_meanwhile_is_unavailable(workspace: Mapping[str, str]) -> None:
    away = replace(Settings.read(workspace), postgres_dsn="postgresql://127.0.0.1:9/none")
    with pytest.raises(Unavailable, match="PostgreSQL"):
        list(archive(away, Wanted(tenant_id="acme", job_ids=("job",), whole_tenant=False)))


def test_a_database_that_hangs_meanwhile_is_not_waited_for_without_end(
    workspace: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holdings, "ANSWER_LIMIT_S", 0.5)
    settings = Settings.read(workspace)
    with connection(settings.postgres_dsn) as other:
        other.execute(b"LOCK TABLE idempotency_keys IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(Unavailable, match="PostgreSQL"):
            _files(settings, Wanted(tenant_id="acme", job_ids=(), whole_tenant=True))


def test_a_tenant_has_also_what_belongs_to_no_known_job(workspace: Mapping[str, str]) -> None:
    settings = Settings.read(workspace)
    with closing(ObjectStore(settings.objects)) as store:
        store.put("acme/refused/audio", b"sound")
        store.put("acmes/other/audio", b"of somebody else")
    with connection(settings.postgres_dsn) as conn:
        for tenant in ("acme", "other"):
            conn.execute(_KEY, (tenant, f"of {tenant}"))
    files = _files(settings, Wanted(tenant_id="acme", job_ids=(), whole_tenant=True))
    assert {name: data for name, data in files.items() if name.startswith("objects/")} == {
        "objects/refused/audio": b"sound"
    }
    assert [json.loads(line)["key"] for line in files["tables/idempotency_keys.jsonl"].splitlines()] == ["of acme"]


def test_a_dead_letter_says_why_it_is_one(workspace: Mapping[str, str]) -> None:
    settings = Settings.read(workspace)
    came = Incoming(topic=CONTROLS, partition=0, offset=7, key=b"job", value=b"?", headers=(), timestamp_ms=0)
    producer = EventProducer(settings.kafka)
    producer.send(dead_letter(came, "assembler", "Poison", "cannot be read", 3))
    producer.flush()
    files = _files(settings, Wanted(tenant_id="acme", job_ids=("job",), whole_tenant=False))
    (line,) = files["topics/dead-letters.jsonl"].splitlines()
    assert json.loads(line)["headers"]["__dlq.errors.message"] == "cannot be read"


def _files(settings: Settings, wanted: Wanted) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(b"".join(archive(settings, wanted)))) as file:
        return {name: file.read(name) for name in file.namelist()}
