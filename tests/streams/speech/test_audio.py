"""Audio is what was stored, or it is said what is wrong with it."""

import hashlib
import io
import threading
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from runtime.errors import Unavailable
from runtime.objects import SmallObjects
from runtime.settings import Settings
from schemas.values import StoredObject
from streams.speech.audio import AudioFetcher, Damaged, Missing, Samples, read
from tests.runtime.withholding import withholding
from tests.streams.speech.lane import SAMPLE_RATE_HZ, flac


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sound(rate_hz: int, channels: int) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, np.zeros((100, channels), np.int16), rate_hz, format="FLAC", subtype="PCM_16")
    return out.getvalue()


def test_samples_are_those_that_were_stored() -> None:
    data = flac(seed=5, seconds=0.25)
    found = read(data, sha256(data))
    assert isinstance(found, Samples)
    expected = np.random.default_rng(5).integers(-200, 200, SAMPLE_RATE_HZ // 4, dtype=np.int16)
    assert (found.pcm == expected).all()


@pytest.mark.parametrize(
    "data",
    [b"", b"no sound at all", flac(1)[:300], sound(8_000, 1), sound(16_000, 2)],
    ids=["empty", "text", "cut off", "8 kHz", "stereo"],
)
def test_what_is_no_chunk_is_damaged(data: bytes) -> None:
    assert isinstance(read(data, sha256(data)), Damaged)


def test_other_bytes_than_stored_are_damaged() -> None:
    assert read(flac(1), sha256(flac(2))) == Damaged(why="the hash is another")


def test_objects_come_and_a_missing_one_is_named(workspace: Mapping[str, str]) -> None:
    woken = threading.Event()
    store = SmallObjects(Settings.read(workspace).objects)
    fetcher = AudioFetcher(store, woken.set)
    data = flac(1)
    fetcher.keep("a", data).result(10)
    there = StoredObject(key="a", size_bytes=len(data), sha256=sha256(data))
    assert isinstance(fetcher.fetch(there).result(10), Samples)
    assert fetcher.fetch(replace(there, key="b")).result(10) == Missing()
    assert woken.wait(10)
    fetcher.close()


def test_an_object_that_is_withheld_is_told_from_one_that_is_gone(workspace: Mapping[str, str]) -> None:
    objects = Settings.read(workspace).objects
    SmallObjects(objects).put("secret/a", flac(1))
    with withholding(objects.endpoint, objects.bucket) as front:
        fetcher = AudioFetcher(SmallObjects(replace(objects, endpoint=front.endpoint)), lambda: None)
        there = StoredObject(key="secret/a", size_bytes=1, sha256="")
        assert fetcher.fetch(there).result(10) == Missing(withheld=True)
        fetcher.close()


def test_closing_ends_the_wait_for_a_store_that_is_away(workspace: Mapping[str, str]) -> None:
    objects = replace(Settings.read(workspace).objects, endpoint="http://127.0.0.1:1")
    fetcher = AudioFetcher(SmallObjects(objects), lambda: None)
    waiting = fetcher.fetch(StoredObject(key="a", size_bytes=1, sha256=""))
    fetcher.close()
    with pytest.raises(Unavailable):
        waiting.result(10)
