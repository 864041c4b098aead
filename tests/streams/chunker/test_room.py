"""Room for temporary files: never more than the quota, whoever asks, and nothing is held by the dead."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.errors import Unavailable
from streams.chunker.room import Room

_HOLD = """
import sys
from pathlib import Path
from streams.chunker.room import Room
with Room(Path(sys.argv[1]), 100).reserve(60):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_reservations_add_up_and_end(tmp_path: Path) -> None:
    room = Room(tmp_path, 100)
    with room.reserve(60), Room(tmp_path, 100).reserve(40), pytest.raises(Unavailable, match="100 of 100 bytes"):
        room.reserve(1)
    with room.reserve(100):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["palimpsest-room.lock"]


def test_one_that_is_larger_than_the_quota_goes_alone(tmp_path: Path) -> None:
    room = Room(tmp_path, 100)
    with room.reserve(1), pytest.raises(Unavailable):
        room.reserve(1_000)
    with room.reserve(1_000), pytest.raises(Unavailable):
        room.reserve(1)


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    room = Room(tmp_path, 100)
    command = [sys.executable, "-c", _HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        room.tidy()
        with pytest.raises(Unavailable):
            room.reserve(41)
        holder.kill()
    assert len(list(tmp_path.glob("*-reserved-*"))) == 1
    room.tidy()
    assert list(tmp_path.glob("*-reserved-*")) == []
    with room.reserve(100):
        pass


def test_files_that_never_lost_their_names_are_removed(tmp_path: Path) -> None:
    for name, age_s in (("palimpsest-upload-old", 3_600), ("palimpsest-upload-now", 0), ("upload-other", 3_600)):
        (tmp_path / name).write_bytes(b"x")
        about = (tmp_path / name).stat().st_mtime - age_s
        os.utime(tmp_path / name, (about, about))
    Room(tmp_path, 100).tidy()
    assert {path.name for path in tmp_path.iterdir()} == {
        "palimpsest-upload-now",
        "upload-other",
        "palimpsest-room.lock",
    }
