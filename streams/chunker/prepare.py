"""An upload, prepared: audio from the object store, through a decoder, chunks stored and announced, then the plan.

In: an UploadReceived. Out: ChunkCut for each chunk as it is cut, then AudioPrepared or AudioRejected, each given to
`send`; the outcome says whether the upload is poison. Trying again says the same again: ids, keys and cuts follow from
the upload. Knows no Faust: where records go and how they are acknowledged is the caller's.
"""

import asyncio
import hashlib
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from runtime import disk
from runtime.errors import ObjectMissing, ObjectWithheld, Unavailable
from runtime.faults import crash_point
from runtime.objects import ObjectStore
from runtime.telemetry import audio_seconds, logger, repeated_tries
from schemas.records import AudioRejected, Record, UploadReceived
from schemas.topics import lane_topic
from schemas.values import MediaInfo, PlannedChunk, StoredObject
from streams.chunker import plan
from streams.chunker.frames import ChunkEncoded, DecodeRequest, Opened, Rejected
from streams.chunker.room import UPLOAD_PREFIX, Room
from streams.chunker.sandbox import DecoderCrashed, DecoderHung, Decoders
from streams.chunker.tries import Tries

MAX_TRIES = 3
MAX_HANGS = 2
UNACKNOWLEDGED_CHUNKS = 8
PATIENCE_S = 60.0
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0

T = TypeVar("T")
log = logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlets:
    """Everything the work needs of the outside; `send` returns when the broker has the record."""

    objects: ObjectStore
    tries: Tries
    decoders: Decoders
    room: Room
    send: Callable[[Record, str], Awaitable[None]]
    progress: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Settings of the work."""

    upload_topic: str
    temp_dir: Path
    max_audio_s: int
    interactive_audio_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Poisoned:
    """The upload was tried too often: it is answered, and belongs on the dead-letter topic."""

    tries: int
    reason: str


class _Answer(Exception):
    """The upload's audio cannot be transcribed."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.code = code
        self.message = message


class Preparation:
    """Prepares uploads, one at a time."""

    def __init__(self, outlets: Outlets, rules: Rules) -> None:
        self._outlets = outlets
        self._rules = rules

    async def prepare(self, upload: UploadReceived, name: str) -> Poisoned | None:
        """Answers an upload. Raises Unavailable, after a while, when an outside system is away.

        Tries are counted under `name`: one for each time the upload is sent on purpose.
        """
        reason, hangs = "the process ended while preparing it", 0
        while True:
            begun = await patiently(lambda: self._outlets.tries.begin(name))
            if begun.answered:
                log.info("answered already", action="upload.repeated")
                return None
            if begun.tries > MAX_TRIES or hangs >= MAX_HANGS:
                await self._reject(upload, "internal", plan.REJECTIONS["internal"])
                return Poisoned(tries=begun.tries - 1, reason=reason)
            if begun.tries > 1:
                repeated_tries.labels("chunker").inc()
            try:
                await self._try(upload)
                await patiently(lambda: self._outlets.tries.answered(name))
                return None
            except DecoderCrashed as error:
                reason, hangs = str(error), hangs + isinstance(error, DecoderHung)
                log.warning("the decoder crashed", action="decoder.crashed", tries=begun.tries, error=reason)
            except Unavailable:
                # An outage is not the file's fault, least of all that of the database which counts the tries.
                await _however_long(lambda: self._outlets.tries.take_back(name))
                raise
            except asyncio.CancelledError:
                await self._outlets.tries.take_back(name)  # nor is a shutdown
                raise

    async def answered(self, name: str) -> None:
        """To be called when a poisoned upload is on the dead-letter topic."""
        await patiently(lambda: self._outlets.tries.forget(name))

    async def _try(self, upload: UploadReceived) -> None:
        room = await patiently(lambda: asyncio.to_thread(self._outlets.room.reserve, upload.audio.size_bytes))
        with room, await patiently(lambda: asyncio.to_thread(self._file)) as file:
            try:
                await patiently(lambda: asyncio.to_thread(self._download, upload, file))
                await self._cut(upload, file)
            except ObjectMissing as error:
                code = "audio_withheld" if isinstance(error, ObjectWithheld) else "audio_missing"
                log.warning("the audio cannot be had", action="audio.missing", error=str(error))
                await self._reject(upload, code, plan.REJECTIONS[code])
            except _Answer as answer:
                await self._reject(upload, answer.code, answer.message)

    def _file(self) -> BinaryIO:
        """A file without a name; unbuffered, so that nothing is left to be written when it is closed on a full disk."""
        with disk.room():
            return tempfile.TemporaryFile(buffering=0, dir=self._rules.temp_dir, prefix=UPLOAD_PREFIX)

    def _download(self, upload: UploadReceived, file: BinaryIO) -> None:
        """The uploaded bytes, never more than the upload says; a full disk is waited for like an outage."""
        file.seek(0)
        file.truncate()
        room = upload.audio.size_bytes
        with crash_point("audio.get"), disk.room():
            for piece in self._outlets.objects.stream(upload.audio.key):
                _write(file, piece[:room])
                room -= min(room, len(piece))
        file.seek(0)

    async def _cut(self, upload: UploadReceived, file: BinaryIO) -> None:
        """Sends chunks as they are cut, then the plan when every one of them is acknowledged."""
        request = DecodeRequest(max_audio_s=self._rules.max_audio_s)
        media: MediaInfo | None = None
        async with _Window() as window, aclosing(self._outlets.decoders.decode(file, request)) as frames:
            async for frame in frames:
                match frame:
                    case Opened():
                        media = _media(frame)
                    case ChunkEncoded():
                        await window.add(self._store_and_send(upload, frame))
                    case Rejected():
                        raise _Answer(frame.code, frame.message)
            chunks = tuple(await window.drain())
        assert media is not None
        end_ms = chunks[-1].end_ms
        lane = plan.lane_at(upload, end_ms, self._rules.interactive_audio_s)
        prepared = plan.audio_prepared(upload, media, chunks, lane, _now_ms())
        with crash_point("plan.produce"):
            await self._outlets.send(prepared, self._rules.upload_topic)
        audio_seconds.labels("chunker").inc(end_ms / 1000)
        log.info("prepared", action="upload.prepared", chunks=len(chunks), duration_ms=end_ms, lane=str(lane))

    async def _store_and_send(self, upload: UploadReceived, frame: ChunkEncoded) -> PlannedChunk:
        sha256 = hashlib.sha256(frame.flac).hexdigest()
        key = plan.chunk_object_key(upload, frame.index, sha256)
        stored = await patiently(lambda: asyncio.to_thread(self._put, key, frame.flac))
        chunk = PlannedChunk(
            index=frame.index,
            start_ms=frame.start_ms,
            end_ms=frame.end_ms,
            object_start_ms=frame.object_start_ms,
            object=stored,
        )
        lane = plan.lane_at(upload, chunk.end_ms, self._rules.interactive_audio_s)
        with crash_point("chunk.produce"):
            await self._outlets.send(plan.chunk_cut(upload, chunk, lane, _now_ms()), lane_topic(lane))
        self._outlets.progress()
        return chunk

    def _put(self, key: str, data: bytes) -> StoredObject:
        with crash_point("chunk.put"):
            return self._outlets.objects.put(key, data)

    async def _reject(self, upload: UploadReceived, code: str, message: str) -> None:
        rejected: AudioRejected = plan.audio_rejected(upload, code, message, _now_ms())
        with crash_point("refusal.produce"):
            await self._outlets.send(rejected, self._rules.upload_topic)
        log.info("rejected", action="upload.rejected", code=code)


class _Window:
    """At most eight chunks under way; results come back in order, the first failure ends the rest."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[PlannedChunk]] = []

    async def __aenter__(self) -> "_Window":
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def add(self, work: Coroutine[Any, Any, PlannedChunk]) -> None:
        """Waits for a place and starts the work; raises what earlier work raised."""
        self._tasks.append(asyncio.create_task(work))
        while len(under_way := [task for task in self._tasks if not task.done()]) >= UNACKNOWLEDGED_CHUNKS:
            await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
        for task in self._tasks:
            if task.done():
                task.result()

    async def drain(self) -> list[PlannedChunk]:
        """All results, in the order of `add`."""
        return list(await asyncio.gather(*self._tasks))


async def patiently(call: Callable[[], Awaitable[T]]) -> T:
    """The result of `call`, tried again for a minute while an outside system is away; then raises Unavailable."""
    deadline, pause_s = time.monotonic() + PATIENCE_S, _FIRST_PAUSE_S
    while True:
        try:
            return await call()
        except Unavailable as error:
            if time.monotonic() + pause_s > deadline:
                raise
            log.warning("waiting for an outside system", action="outside.away", error=str(error))
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


async def _however_long(call: Callable[[], Awaitable[T]]) -> T:
    """The result of `call`, tried again until the outside system is back: for what must not be left undone."""
    while True:
        try:
            return await patiently(call)
        except Unavailable as error:
            log.warning("still waiting for an outside system", action="outside.still_away", error=str(error))


def _write(file: BinaryIO, piece: bytes) -> None:
    """All of it: an unbuffered file takes as much as there is room for."""
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]


def _media(opened: Opened) -> MediaInfo:
    return MediaInfo(
        container=opened.container,
        codec=opened.codec,
        sample_rate_hz=opened.sample_rate_hz,
        channels=opened.channels,
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
