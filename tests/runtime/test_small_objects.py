"""The lean way to small objects agrees with the ordinary one, errors included."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from runtime.errors import ObjectMissing, Unavailable
from runtime.objects import ObjectStore, SmallObjects
from runtime.settings import Settings

ODD_KEY = "tenant 1/jöb+ä/00001-x~y.flac"


@pytest.fixture
def settings(workspace: Mapping[str, str]) -> Settings:
    return Settings.read(workspace)


@pytest.mark.parametrize("key", ["a/b", ODD_KEY])
def test_both_ways_see_the_same_objects(settings: Settings, key: str) -> None:
    store, small = ObjectStore(settings.objects), SmallObjects(settings.objects)
    small.put(key, b"lean")
    assert store.get(key) == b"lean"
    store.put(key, b"ordinary")
    assert small.get(key) == b"ordinary"


def test_a_missing_object_is_named_as_missing(settings: Settings) -> None:
    with pytest.raises(ObjectMissing, match="nothing/here"):
        SmallObjects(settings.objects).get("nothing/here")


def test_an_absent_store_is_unavailable(settings: Settings) -> None:
    with pytest.raises(Unavailable):
        SmallObjects(replace(settings.objects, endpoint="http://127.0.0.1:1")).get("a")


def test_a_wrong_secret_is_unavailable(settings: Settings) -> None:
    with pytest.raises(Unavailable, match="403"):
        SmallObjects(replace(settings.objects, secret_key="wrong")).get("a")
