"""What a decoder process can no longer do once it is locked in, asked of a process that is."""

import json
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

_ASK = """
import json, socket, sys
from streams.chunker.locks import lock_in
said = {"locks": lock_in()}
def tried(what, call):
    try:
        call()
        said[what] = "done"
    except OSError as error:
        said[what] = type(error).__name__
    except MemoryError:
        said[what] = "MemoryError"
tried("read", lambda: open(sys.argv[1]).read())
tried("connect", lambda: socket.socket().connect(("127.0.0.1", int(sys.argv[2]))))
tried("hold", lambda: bytearray(400_000_000))
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, object]:
    file = tmp_path_factory.mktemp("other") / "other.wav"
    file.write_bytes(b"somebody else's")
    for folder in (file, *list(file.parents)[:-1]):
        if not folder.is_mount():
            folder.chmod(folder.stat().st_mode | 0o055)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        done = subprocess.run((sys.executable, "-c", _ASK, str(file), port), capture_output=True, check=True, text=True)
    answer: Mapping[str, object] = json.loads(done.stdout)
    return answer


def test_it_cannot_hold_more_than_a_recording_needs(said: Mapping[str, object]) -> None:
    assert said["hold"] == "MemoryError"


def test_it_can_neither_open_a_file_nor_an_address(said: Mapping[str, object]) -> None:
    locks = said["locks"]
    assert isinstance(locks, list)
    if "landlock" not in locks:
        pytest.skip(f"this kernel has no landlock: {Path('/proc/version').read_text()}")
    assert (said["read"], said["connect"]) == ("PermissionError", "PermissionError")
