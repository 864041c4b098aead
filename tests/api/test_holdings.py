"""What an archive is made of, piece by piece, on a real store."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace

import pytest

from api.holdings import Wanted, _objects, archive
from runtime.errors import Unavailable
from runtime.objects import ObjectStore
from runtime.settings import Settings


def test_an_object_that_goes_meanwhile_is_left_out(workspace: Mapping[str, str]) -> None:
    with closing(ObjectStore(Settings.read(workspace).objects)) as store:
        for name in ("audio", "chunks/0", "chunks/1"):
            store.put(f"acme/job/{name}", name.encode())
        found = _objects(store, "acme", "acme/job/")
        name, content = next(found)
        store.delete(["acme/job/chunks/0"])
        assert (name, b"".join(content)) == ("objects/job/audio", b"audio")
        assert [(name, b"".join(content)) for name, content in found] == [("objects/job/chunks/1", b"chunks/1")]


def test_a_database_that_goes_meanwhile_is_unavailable(workspace: Mapping[str, str]) -> None:
    away = replace(Settings.read(workspace), postgres_dsn="postgresql://127.0.0.1:9/none")
    with pytest.raises(Unavailable, match="PostgreSQL"):
        list(archive(away, Wanted(tenant_id="acme", job_ids=("job",), whole_tenant=False)))
