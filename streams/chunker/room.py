"""Room for temporary files, shared by all chunkers that use one folder.

In: how many bytes are about to be written. Out: a reservation, or Unavailable where the quota is used up: that is
waited for like a full disk. A reservation is a small file which its process keeps locked, so that it ends with the
process, however that ends. Knows no upload.
"""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Self
from uuid import uuid4

from runtime.disk import room
from runtime.errors import Unavailable

# The folder may be one that strangers use too.
UPLOAD_PREFIX = "palimpsest-upload-"
_RESERVED_PREFIX = "palimpsest-reserved-"
_LOCK = "palimpsest-room.lock"
# An upload's file loses its name at once; one that still has it after so long belongs to nobody.
_NAMELESS_AFTER_S = 60.0


class Reservation:
    """Room that is ours until the end of the `with`, or of the process."""

    def __init__(self, path: Path, file: IO[str]) -> None:
        self._path = path
        self._file = file

    def __enter__(self) -> Self:
        """Nothing to do: it is reserved."""
        return self

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)
        self._file.close()


class Room:
    """A folder, and how much may lie in it."""

    def __init__(self, folder: Path, quota_bytes: int) -> None:
        self._folder = folder
        self._quota_bytes = quota_bytes

    def tidy(self) -> None:
        """Removes what killed processes left; what living ones hold stays."""
        oldest = time.time() - _NAMELESS_AFTER_S
        for path in self._folder.glob(UPLOAD_PREFIX + "*"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < oldest:
                    path.unlink()
        with self._alone():
            self._held_bytes()

    def reserve(self, size_bytes: int) -> Reservation:
        """Room for so many bytes; one that is larger than the quota, because that was lowered, goes alone."""
        wanted = min(size_bytes, self._quota_bytes)
        with self._alone():
            held = self._held_bytes()
            if held + wanted > self._quota_bytes:
                raise Unavailable(
                    f"temporary files: {held} of {self._quota_bytes} bytes are in use, {wanted} are needed"
                )
            return self._reserved(wanted)

    def _reserved(self, size_bytes: int) -> Reservation:
        path = self._folder / f"{_RESERVED_PREFIX}{uuid4().hex}"
        with room():
            file = path.open("x", encoding="ascii")
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(str(size_bytes))
            file.flush()
        return Reservation(path, file)

    def _held_bytes(self) -> int:
        """What living processes have reserved; reservations of dead ones go."""
        return sum(_held(path) for path in self._folder.glob(_RESERVED_PREFIX + "*"))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with room():
            lock = (self._folder / _LOCK).open("w", encoding="ascii")
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _held(path: Path) -> int:
    with suppress(FileNotFoundError), path.open(encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(file.read() or 0)
        path.unlink()
    return 0
