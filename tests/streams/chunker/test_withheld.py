"""A recording that the store hands to nobody keeps no other waiting; a store that hands out none is waited for."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from runtime.settings import Settings
from schemas.records import AudioPrepared, AudioRejected
from tests.deadline import until
from tests.runtime.withholding import Withholding, withholding
from tests.streams.chunker.recordings import RECIPES, media_file, tone
from tests.streams.chunker.test_app import World, running

RECORDING = media_file(tone(1_000), RECIPES["wav"])


@pytest.fixture
def front(workspace: Mapping[str, str]) -> Iterator[Withholding]:
    store = Settings.read(workspace).objects
    with withholding(store.endpoint, store.bucket) as server:
        yield server


@pytest.fixture
def world(workspace: Mapping[str, str], front: Withholding, tmp_path: Path) -> World:
    return World({**workspace, "PALIMPSEST_TEMP_DIR": str(tmp_path / "t"), "PALIMPSEST_S3_ENDPOINT": front.endpoint})


def test_a_withheld_recording_is_answered_and_the_next_is_prepared(world: World, front: Withholding) -> None:
    held = world.upload(RECORDING)
    front.prefix = held.audio.key
    behind = world.upload_behind(held, RECORDING)
    with running(world):
        answer = world.answer(held)
        assert isinstance(answer, AudioRejected)
        assert answer.code == "audio_withheld"
        assert isinstance(world.answer(behind), AudioPrepared)


def test_where_nothing_is_handed_out_no_recording_is_given_up(world: World, front: Withholding) -> None:
    front.prefix = ""
    upload = world.upload(RECORDING)
    with running(world) as process:
        until(lambda: front.refusals > 1, 60, "the recording is asked for again")
        assert world.answers(upload.job_id) == []
        front.prefix = "nothing/"
        assert isinstance(world.answer(upload), AudioPrepared)
        assert process.popen.poll() is None
