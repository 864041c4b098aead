"""A stranger's bytes as a demuxer reads them: wherever it wants to go in them, and never anywhere else.

In: a file. Out: the file, for a library that follows offsets which the file itself names. Also says what the first
bytes alone tell. Knows no media library.
"""

import errno
import os
from typing import BinaryIO

_SNIFF_BYTES = 64
_MAGIC = (b"RIFF", b"RF64", b"fLaC", b"OggS", b"ID3", b"\x1aE\xdf\xa3", b"FORM", b"\x30\x26\xb2\x75")
_ID3_HEAD_BYTES = 10
_COUNTS = (b"Xing", b"Info", b"VBRI")


class Source:
    """Reads like a file, but a place that cannot be is an answer and no exception."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.head = self._at(0, _SNIFF_BYTES)

    @property
    def is_media(self) -> bool:
        """Whether the first bytes are those of a container that we read."""
        return self.head.startswith(_MAGIC) or self.head[4:8] == b"ftyp"

    @property
    def counts_its_frames(self) -> bool:
        """Whether an MP3 says how many frames it has, so that its length is stated and not guessed."""
        begins = 0
        if self.head.startswith(b"ID3") and len(self.head) >= _ID3_HEAD_BYTES:
            begins = _ID3_HEAD_BYTES + sum(
                byte << shift for byte, shift in zip(self.head[6:10], (21, 14, 7, 0), strict=True)
            )
        return any(mark in self._at(begins, _SNIFF_BYTES) for mark in _COUNTS)

    def read(self, size: int) -> bytes:
        """Bytes from the present place on."""
        return self._file.read(size)

    def tell(self) -> int:
        """The present place."""
        return self._file.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """The new place; negative where there is none, as C libraries expect it."""
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return -errno.EINVAL

    def _at(self, place: int, size: int) -> bytes:
        """Bytes from a place on; the present place stays."""
        before = self._file.tell()
        self._file.seek(place)
        found = self._file.read(size)
        self._file.seek(before)
        return found
