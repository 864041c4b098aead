"""Objects are stored whole, in bounded memory, and a missing one is named as missing."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from runtime.errors import ObjectMissing, Unavailable
from runtime.objects import PART_BYTES, ObjectStore, SmallObjects
from runtime.settings import Settings


@pytest.fixture
def store(workspace: Mapping[str, str]) -> Iterator[ObjectStore]:
    with closing(ObjectStore(Settings.read(workspace).objects)) as client:
        yield client


def test_what_is_put_is_got(store: ObjectStore) -> None:
    stored = store.put("a/b", b"hello")
    assert (stored.size_bytes, stored.sha256) == (5, hashlib.sha256(b"hello").hexdigest())
    assert store.get("a/b") == b"hello"
    assert store.size("a/b") == 5
    assert b"".join(store.stream("a/b", start=2)) == b"llo"


def test_parts_become_one_object(store: ObjectStore) -> None:
    upload = store.begin("big")
    pieces = [b"x" * PART_BYTES, b"tail"]
    store.finish(upload, [store.part(upload, number, piece) for number, piece in enumerate(pieces, 1)])
    assert store.get("big") == b"".join(pieces)


def test_an_aborted_upload_leaves_nothing(store: ObjectStore) -> None:
    upload = store.begin("gone")
    store.part(upload, 1, b"x" * PART_BYTES)
    store.abort(upload)
    with pytest.raises(ObjectMissing):
        store.size("gone")


def test_files_are_stored(store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"content")
    store.put_file("f", tmp_path / "f")
    assert store.get("f") == b"content"


def test_deleting_is_complete_and_repeatable(store: ObjectStore) -> None:
    keys = [f"many/{i:04d}" for i in range(12)]
    for key in keys:
        store.put(key, b"x")
    assert list(store.keys("many/")) == keys
    store.delete(keys)
    store.delete(keys)
    assert list(store.keys("many/")) == []


def test_a_missing_object_is_missing(store: ObjectStore) -> None:
    with pytest.raises(ObjectMissing):
        store.get("nothing")


@pytest.mark.parametrize("kind", [ObjectStore, SmallObjects])
def test_a_wrong_bucket_is_not_a_missing_object(
    workspace: Mapping[str, str], kind: type[ObjectStore | SmallObjects]
) -> None:
    wrong = kind(Settings.read({**workspace, "PALIMPSEST_S3_BUCKET": "no-such-bucket"}).objects)
    with pytest.raises(Unavailable):
        wrong.get("x")


def test_a_store_that_is_away_is_unavailable(workspace: Mapping[str, str]) -> None:
    elsewhere = Settings.read({**workspace, "PALIMPSEST_S3_ENDPOINT": "http://127.0.0.1:9"}).objects
    with closing(ObjectStore(elsewhere)) as away, pytest.raises(Unavailable):
        away.get("x")
