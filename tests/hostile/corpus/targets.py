"""What hostile files try to reach: a file of somebody else and an address inside the network, both watched.

In: a folder. Out: a path and an address to write into hostile files, and afterwards whether anybody touched them.
"""

import ctypes
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from streams.chunker.cut import SAMPLE_RATE_HZ
from tests.streams.chunker.recordings import RECIPES, media_file, tone

_LIBC = ctypes.CDLL(None, use_errno=True)
_IN_ACCESS, _IN_OPEN = 0x1, 0x20
# A recording of just this length coming out of a file that holds no sound would be the neighbour's.
CANARY_MS = 1_234


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """A neighbour's recording and an address that nobody may ask."""

    file: Path
    port: int

    @property
    def url(self) -> str:
        """The address as playlists name it."""
        return f"http://127.0.0.1:{self.port}/other.wav"


@dataclass(slots=True, kw_only=True)
class Touched:
    """What happened to the targets."""

    reads: int = 0
    connections: int = 0


@contextmanager
def watched(folder: Path) -> Iterator[tuple[Targets, Touched]]:
    """Targets in `folder`; what was touched is counted when the block ends."""
    file = folder / "other.wav"
    file.write_bytes(media_file(tone(CANARY_MS), RECIPES["wav"]))
    # Readable by anybody: what keeps the decoder out must be the decoder, not the file's mode.
    file.chmod(0o644)
    for parent in (folder, *folder.parents):
        if parent.owner() != "root" or not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o055)
    touched = Touched()
    with _opens(file) as opens, socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield Targets(file=file, port=server.getsockname()[1]), touched
        touched.connections, touched.reads = _accepted(server), opens()


@contextmanager
def _opens(file: Path) -> Iterator["Counter"]:
    watch = _LIBC.inotify_init1(os.O_NONBLOCK)
    try:
        assert _LIBC.inotify_add_watch(watch, os.fsencode(file), _IN_ACCESS | _IN_OPEN) >= 0
        yield Counter(watch)
    finally:
        os.close(watch)


class Counter:
    """How often the file was opened or read; the kernel's own notes."""

    def __init__(self, watch: int) -> None:
        self._watch = watch

    def __call__(self) -> int:
        try:
            # One note has 16 bytes where a file is watched, not a folder.
            return len(os.read(self._watch, 65_536)) // 16
        except BlockingIOError:
            return 0


def _accepted(server: socket.socket) -> int:
    number = 0
    while True:
        try:
            connection, _ = server.accept()
        except BlockingIOError:
            return number
        connection.close()
        number += 1


def canary_samples() -> int:
    """Samples of the neighbour's recording."""
    return CANARY_MS * SAMPLE_RATE_HZ // 1000
