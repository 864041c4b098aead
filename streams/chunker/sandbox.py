"""Decoder processes, from the outside: started ahead of their file, locked in, one file each.

In: a file object. Out: the frames its decoder sends, or DecoderCrashed. Bubblewrap encloses the process where it
exists and works; the resource limits and the change of user that the process puts on itself hold everywhere.
What a decoder says is not trusted: frames are bounded and must come in order. Knows no event and no object store.
"""

import asyncio
import shutil
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from runtime import telemetry
from runtime.telemetry import logger
from streams.chunker.frames import (
    HEADER,
    BrokenFrame,
    DecodeRequest,
    Finished,
    Frame,
    Ready,
    Rejected,
    body_size,
    follows,
    pack,
    unpack,
)

START_TIMEOUT_S = 30.0
FRAME_TIMEOUT_S = 300.0
_READ_AHEAD_BYTES = 256 * 1024
_PACKAGES = Path(__file__).resolve().parents[2]
_COMMAND = (sys.executable, "-I", "-B", "-m", "streams.chunker.child")
# One thread: the process decodes one file on one core, and idle threads would reserve address space.
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}

log = logger(__name__)


class DecoderCrashed(Exception):
    """The decoder died, hung or broke the protocol: the file or the machine is at fault, we cannot tell which."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Decoder:
    process: asyncio.subprocess.Process
    line: socket.socket
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def frame(self, timeout_s: float) -> Frame:
        """The next frame; raises DecoderCrashed."""
        try:
            async with asyncio.timeout(timeout_s):
                header = await self.reader.readexactly(HEADER.size)
                return unpack(header, await self.reader.readexactly(body_size(header)))
        except (asyncio.IncompleteReadError, OSError, TimeoutError, BrokenFrame) as error:
            raise DecoderCrashed(f"{type(error).__name__}: {error}") from error

    async def end(self) -> int:
        """Ends the process, if it has not ended itself; returns its exit status."""
        self.writer.close()
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.kill()
        return await self.process.wait()


def bubblewrap() -> tuple[str, ...]:
    """The command that encloses a decoder without network, with a read-only view of Python; () if missing."""
    program = shutil.which("bwrap")
    if program is None:
        return ()
    seen = dict.fromkeys(("/usr", "/lib", "/lib64", "/bin", sys.base_prefix, sys.prefix, str(_PACKAGES)))
    binds = [word for path in seen for word in ("--ro-bind-try", path, path)]
    return (
        *(program, "--unshare-all", "--cap-drop", "ALL", "--die-with-parent", "--new-session"),
        *("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--chdir", "/"),
        *binds,
        "--",
    )


async def _start(enclosure: tuple[str, ...]) -> tuple[_Decoder, Ready]:
    """A decoder that is ready for its file; raises DecoderCrashed."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with theirs:
        process = await asyncio.create_subprocess_exec(
            *enclosure, *_COMMAND, stdin=theirs.fileno(), env=_ENVIRONMENT, cwd="/"
        )
    reader, writer = await asyncio.open_unix_connection(sock=ours, limit=_READ_AHEAD_BYTES)
    decoder = _Decoder(process=process, line=ours, reader=reader, writer=writer)
    try:
        ready = await decoder.frame(START_TIMEOUT_S)
        if not isinstance(ready, Ready):
            raise DecoderCrashed(f"{type(ready).__name__} before Ready")
    except BaseException:
        await decoder.end()
        raise
    return decoder, ready


class Decoders:
    """Keeps one decoder warm. Use as an async context manager; one file at a time."""

    def __init__(self) -> None:
        self._enclosure: tuple[str, ...] = bubblewrap()
        self._spare: asyncio.Task[_Decoder] | None = None
        self.sandbox = ""

    async def __aenter__(self) -> "Decoders":
        """Starts the first decoder and finds out what encloses it; raises DecoderCrashed."""
        try:
            decoder, ready = await _start(self._enclosure)
        except DecoderCrashed as error:
            if not self._enclosure:
                raise
            log.warning("bubblewrap does not work here", action="decoder.no_bubblewrap", error=str(error))
            self._enclosure = ()
            decoder, ready = await _start(())
        await decoder.end()
        self.sandbox = " + ".join((*(("bubblewrap",) if self._enclosure else ()), *ready.locks))
        log.info("decoders are locked in", action="decoder.sandbox", sandbox=self.sandbox)
        self._warm_up()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._spare is not None:
            await asyncio.wait([self._spare])
            if not self._spare.cancelled() and self._spare.exception() is None:
                await self._spare.result().end()

    async def decode(self, source: BinaryIO, request: DecodeRequest) -> AsyncGenerator[Frame, None]:
        """Opened, chunks in order, then Finished; or Rejected. Raises DecoderCrashed."""
        decoder = await self._take()
        last: Frame = request
        try:
            _hand_over(decoder, source, request)
            while not isinstance(last, Finished | Rejected):
                frame = await decoder.frame(FRAME_TIMEOUT_S)
                if not follows(last, frame):
                    raise DecoderCrashed(f"{type(frame).__name__} after {type(last).__name__}")
                yield frame
                last = frame
        except DecoderCrashed:
            telemetry.child_restarts.labels("decoder").inc()
            raise
        finally:
            await decoder.end()
            self._warm_up()

    async def _take(self) -> _Decoder:
        """The warm decoder, or a new one if that has died meanwhile."""
        spare, self._spare = self._spare, None
        if spare is not None:
            await asyncio.wait([spare])
            if spare.exception() is None and spare.result().process.returncode is None:
                return spare.result()
        return (await _start(self._enclosure))[0]

    def _warm_up(self) -> None:
        """Starts the next decoder; after a file rather than beside it, so that it takes no time from the file."""
        if self._spare is None:
            self._spare = asyncio.create_task(_ready(self._enclosure))


async def _ready(enclosure: tuple[str, ...]) -> _Decoder:
    return (await _start(enclosure))[0]


def _hand_over(decoder: _Decoder, source: BinaryIO, request: DecodeRequest) -> None:
    """Gives a decoder its file; the message is far smaller than the socket's buffer, so it cannot block."""
    try:
        socket.send_fds(decoder.line, [pack(request)], [source.fileno()])
    except OSError as error:
        raise DecoderCrashed(f"it did not take its file: {error}") from error
