"""Decoder processes, from the outside: locked in, one file each.

In: a file object. Out: the frames its decoder sends, or DecoderCrashed. Bubblewrap encloses the process where it
exists and works; the resource limits and the change of user that the process puts on itself hold everywhere.
What a decoder says is not trusted: frames are bounded and must come in order. Knows no event and no object store.
"""

import asyncio
import shutil
import socket
import sys
from collections.abc import AsyncGenerator, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, BinaryIO, TypeVar

from runtime import telemetry
from runtime.faults import crash_point
from runtime.telemetry import logger
from streams.chunker.frames import (
    HEADER,
    BrokenFrame,
    DecodeRequest,
    Finished,
    Frame,
    Ready,
    Rejected,
    Working,
    body_size,
    follows,
    pack,
    unpack,
)
from streams.chunker.locks import readable_paths

START_TIMEOUT_S = 30.0
# A decoder at work says so twice a second; twice this, and two starts, are what others wait for one that hangs.
SILENCE_S = 3.5
FRAME_TIMEOUT_S = 60.0
# How often we look whether a decoder has said something; a look counts as so much, however long it took.
LOOK_S = 0.5
_READ_AHEAD_BYTES = 256 * 1024
_COMMAND = (sys.executable, "-I", "-B", "-m", "streams.chunker.child")
# One thread: the process decodes one file on one core, and idle threads would reserve address space.
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}

T = TypeVar("T")
log = logger(__name__)


class DecoderCrashed(Exception):
    """The decoder died, hung or broke the protocol: the file or the machine is at fault, we cannot tell which."""


class DecoderHung(DecoderCrashed):
    """It neither said anything nor worked, or worked for too long without a word."""


def bubblewrap() -> tuple[str, ...]:
    """The command that encloses a decoder without network, with a read-only view of Python; () if missing."""
    program = shutil.which("bwrap")
    if program is None:
        return ()
    binds = [word for path in readable_paths() for word in ("--ro-bind-try", path, path)]
    return (
        *(program, "--unshare-all", "--cap-drop", "ALL", "--die-with-parent", "--new-session"),
        *("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--chdir", "/"),
        *binds,
        "--",
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Line:
    """A connection to a nursery or a decoder."""

    socket: socket.socket
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def frame(self, timeout_s: float) -> Frame:
        """The next frame; raises DecoderCrashed, or TimeoutError."""
        return await _within(timeout_s, self._frame())

    async def _frame(self) -> Frame:
        try:
            header = await self.reader.readexactly(HEADER.size)
            return unpack(header, await self.reader.readexactly(body_size(header)))
        except (asyncio.IncompleteReadError, OSError, BrokenFrame) as error:
            raise DecoderCrashed(f"{type(error).__name__}: {error}") from error

    def hand_over(self, data: bytes, descriptor: int) -> None:
        """Sends a message, far smaller than the socket's buffer, with an open file."""
        try:
            socket.send_fds(self.socket, [data], [descriptor])
        except OSError as error:
            raise DecoderCrashed(f"nobody took the file: {error}") from error


async def _said(line: _Line) -> Frame:
    """The next frame that says something; raises DecoderCrashed, or TimeoutError."""
    while isinstance(frame := await line.frame(SILENCE_S), Working):
        pass
    return frame


async def _within(limit_s: float, work: Coroutine[Any, Any, T]) -> T:
    """What the work gives, or TimeoutError; time in which this process itself stood still does not count.

    Who stood still finds on waking that all timers are due, whatever has arrived meanwhile; here that is one look.
    """
    task = asyncio.create_task(work)
    try:
        for _ in range(ceil(limit_s / LOOK_S)):
            done, _ = await asyncio.wait({task}, timeout=LOOK_S)
            if done:
                return task.result()
        raise TimeoutError(f"nothing for {limit_s:g} s")
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _line() -> tuple[_Line, socket.socket]:
    """A connection, and its other end for a process to take."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    reader, writer = await asyncio.open_unix_connection(sock=ours, limit=_READ_AHEAD_BYTES)
    return _Line(socket=ours, reader=reader, writer=writer), theirs


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Nursery:
    """A running process that forks decoders; a killed one takes its decoders with it."""

    process: asyncio.subprocess.Process
    line: _Line
    locks: tuple[str, ...]

    async def end(self) -> None:
        self.line.writer.close()
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.kill()
        await self.process.wait()


async def _nursery(enclosure: tuple[str, ...]) -> _Nursery:
    """A nursery that is ready; raises DecoderCrashed."""
    line, theirs = await _line()
    with theirs:
        # A session of its own: a signal to our group, which lets us finish the file, must not end its decoder.
        process = await asyncio.create_subprocess_exec(
            *(*enclosure, *_COMMAND), stdin=theirs.fileno(), env=_ENVIRONMENT, cwd="/", start_new_session=True
        )
    nursery = _Nursery(process=process, line=line, locks=())
    try:
        ready = await line.frame(START_TIMEOUT_S)
        if not isinstance(ready, Ready):
            raise DecoderCrashed(f"{type(ready).__name__} before Ready")
    except BaseException:
        await nursery.end()
        raise
    return replace(nursery, locks=ready.locks)


async def _born(nursery: _Nursery) -> _Line:
    """The line to a new decoder; raises DecoderCrashed when the nursery is dead."""
    line, theirs = await _line()
    try:
        with theirs:
            nursery.line.hand_over(b".", theirs.fileno())
        # A dead nursery may take the socket without a word; a decoder that speaks is alive.
        await line.frame(START_TIMEOUT_S)
    except BaseException:
        line.writer.close()
        raise
    return line


class Decoders:
    """Decoders for one file at a time. Use as an async context manager."""

    def __init__(self, enclosure: tuple[str, ...] | None = None) -> None:
        """`enclosure` is a command that runs another one; bubblewrap, unless told."""
        self._enclosure = bubblewrap() if enclosure is None else enclosure
        self._nursery: _Nursery | None = None
        self.sandbox = ""

    async def __aenter__(self) -> "Decoders":
        """Starts the nursery and finds out what encloses it; raises DecoderCrashed."""
        try:
            self._nursery = await _nursery(self._enclosure)
        except (DecoderCrashed, TimeoutError) as error:
            if not self._enclosure:
                raise
            log.warning("bubblewrap does not work here", action="decoder.no_bubblewrap", error=repr(error))
            self._enclosure = ()
            self._nursery = await _nursery(())
        enclosed = ("bubblewrap",) if self._enclosure else ()
        self.sandbox = " + ".join((*enclosed, *self._nursery.locks))
        log.info("decoders are locked in", action="decoder.sandbox", sandbox=self.sandbox)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end_nursery()

    async def decode(self, source: BinaryIO, request: DecodeRequest) -> AsyncGenerator[Frame, None]:
        """Opened, chunks in order, then Finished; or Rejected. Raises DecoderCrashed."""
        line = await self._decoder()
        last: Frame = request
        try:
            with crash_point("decoder.call", DecoderCrashed):
                line.hand_over(pack(request), source.fileno())
            while not isinstance(last, Finished | Rejected):
                frame = await _within(FRAME_TIMEOUT_S, _said(line))
                if not follows(last, frame):
                    raise DecoderCrashed(f"{type(frame).__name__} after {type(last).__name__}")
                yield frame
                last = frame
        except DecoderCrashed:
            telemetry.child_restarts.labels("decoder").inc()
            raise
        except TimeoutError as error:
            # It hangs, so it will not notice that nobody listens any more.
            await self._end_nursery()
            telemetry.child_restarts.labels("decoder").inc()
            raise DecoderHung(
                f"not a sign of work for {SILENCE_S:g} s, or no sound for {FRAME_TIMEOUT_S:.0f}"
            ) from error
        finally:
            # A decoder that has more to say fails at saying it, and ends.
            line.writer.close()

    async def _decoder(self) -> _Line:
        """A new decoder; from a new nursery, if the old one has died meanwhile."""
        if self._nursery is not None:
            with suppress(DecoderCrashed, TimeoutError):
                return await _born(self._nursery)
        await self._end_nursery()
        try:
            self._nursery = await _nursery(self._enclosure)
            return await _born(self._nursery)
        except TimeoutError as error:
            raise DecoderCrashed("it did not start in time") from error

    async def _end_nursery(self) -> None:
        nursery, self._nursery = self._nursery, None
        if nursery is not None:
            await nursery.end()
