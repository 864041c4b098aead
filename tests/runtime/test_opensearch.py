"""The client of the search engine, on a real one."""

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import pytest
from opensearchpy.exceptions import RequestError

from runtime.opensearch import SearchEngine
from runtime.settings import Settings

BODY: Mapping[str, Any] = {"settings": {"number_of_replicas": 0}}


def test_an_index_whose_creation_was_answered_too_late_gets_its_alias(
    workspace: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine creates it, the client does not hear so in time and tries once more."""
    with closing(SearchEngine(Settings.read(workspace).opensearch)) as engine:
        create = engine._client.indices.create

        def create_late(**given: Any) -> None:
            create(**given)
            raise RequestError(400, "resource_already_exists_exception", {})

        monkeypatch.setattr(engine._client.indices, "create", create_late)
        engine.create_index("things_v1", BODY, "things")
        assert engine.alias_target("things") == "things_v1"
