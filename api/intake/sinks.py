"""Where the bytes of an upload go: into the object store in parts, or only through the hash.

In: pieces of a file. Out: its size and sha256, and the object. At most one part of 8 MiB is held in memory.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable

from runtime.errors import ObjectMissing, Refused, Unavailable
from runtime.faults import crash_point
from runtime.objects import PART_BYTES, ObjectStore, Upload
from runtime.telemetry import logger, upload_bytes
from schemas.values import StoredObject

# Whoever waits for a refusal does not wait for a store that hangs; the abort goes on by itself.
ABORT_WAIT_S = 2.0

log = logger(__name__)


class HashingSink:
    """Measures a file and keeps nothing."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    async def write(self, piece: bytes) -> None:
        """Takes a piece; raises Refused over the limit."""
        self.size_bytes += len(piece)
        if self.size_bytes > self._max_bytes:
            raise Refused("too_large", f"A recording may have {self._max_bytes} bytes.")
        self._hash.update(piece)

    def sha256(self) -> str:
        """Hash of what was written so far."""
        return self._hash.hexdigest()


class StoringSink(HashingSink):
    """Stores a file under a key: a small one with one put, a large one part by part."""

    def __init__(self, store: ObjectStore, key: str, max_bytes: int, after_part: Callable[[], Awaitable[None]]) -> None:
        """`after_part` is called after each stored part and before the object comes into being; it may refuse."""
        super().__init__(max_bytes)
        self._store = store
        self._key = key
        self._after_part = after_part
        self._held = bytearray()
        self._upload: Upload | None = None
        self._tags: list[str] = []

    async def write(self, piece: bytes) -> None:
        """Takes a piece; a full part is stored before the next piece is asked for, which slows the client down."""
        await super().write(piece)
        upload_bytes.inc(len(piece))
        view = memoryview(piece)
        while view:
            room = PART_BYTES - len(self._held)
            self._held += view[:room]
            view = view[room:]
            if len(self._held) == PART_BYTES:
                await self._store_part()

    async def finish(self) -> StoredObject:
        """Makes the object; raises Refused for an empty file."""
        if not self.size_bytes:
            raise Refused("empty_upload", "The file is empty.")
        await self._after_part()
        if self._upload is None:
            with crash_point("audio.put"):
                await asyncio.to_thread(self._store.put, self._key, self._held)
        else:
            if self._held:
                await self._store_part()
            with crash_point("audio.finish"):
                await asyncio.to_thread(self._store.finish, self._upload, self._tags)
        self._held = bytearray()
        return StoredObject(key=self._key, size_bytes=self.size_bytes, sha256=self.sha256())

    async def abort(self) -> None:
        """Forgets what was stored so far; what cannot be forgotten now is left to the bucket's own rules."""
        self._held = bytearray()
        if self._upload is None:
            return
        try:
            with crash_point("audio.abort"):
                async with asyncio.timeout(ABORT_WAIT_S):
                    await asyncio.to_thread(self._store.abort, self._upload)
        except (Unavailable, ObjectMissing, TimeoutError) as error:
            log.warning("an upload was left behind", action="upload.left", trouble=repr(error))

    async def _store_part(self) -> None:
        if self._upload is None:
            with crash_point("audio.begin"):
                self._upload = await asyncio.to_thread(self._store.begin, self._key)
        number = len(self._tags) + 1
        with crash_point("audio.part"):
            self._tags.append(await asyncio.to_thread(self._store.part, self._upload, number, self._held))
        self._held.clear()
        await self._after_part()
