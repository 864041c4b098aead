"""A hostile file through the real decoder processes, measured.

In: bytes. Out: what the decoder said about them, how long it took and how much memory it held at most.
"""

import asyncio
import os
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from streams.chunker.frames import ChunkEncoded, DecodeRequest, Finished, Frame, Rejected
from streams.chunker.sandbox import DecoderCrashed, Decoders

SAMPLED_EVERY_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a file ended: `code` of its refusal, `decoded`, or `crashed`."""

    code: str
    message: str
    decoded_ms: int
    duration_s: float
    peak_bytes: int


async def outcome(decoders: Decoders, data: bytes, max_audio_s: int) -> Outcome:
    """Decodes one file."""
    began = time.monotonic()
    peak = _Peak()
    watching = asyncio.create_task(peak.watch())
    last: Frame | None = None
    decoded_ms = 0
    try:
        with tempfile.TemporaryFile() as file:
            file.write(data)
            file.flush()
            file.seek(0)
            async for frame in decoders.decode(file, DecodeRequest(max_audio_s=max_audio_s)):
                last = frame
                decoded_ms = frame.end_ms if isinstance(frame, ChunkEncoded) else decoded_ms
        code, message = (last.code, last.message) if isinstance(last, Rejected) else ("decoded", "")
        assert isinstance(last, Rejected | Finished)
    except DecoderCrashed as error:
        code, message = "crashed", str(error)
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
    return Outcome(
        code=code,
        message=message,
        decoded_ms=decoded_ms,
        duration_s=time.monotonic() - began,
        peak_bytes=peak.bytes,
    )


class _Peak:
    """The most memory that a decoder held: the kernel's own high-water mark, read while it runs."""

    def __init__(self) -> None:
        self.bytes = 0

    async def watch(self) -> None:
        while True:
            for pid in _decoders(os.getpid()):
                self.bytes = max(self.bytes, _high_water_bytes(pid))
            await asyncio.sleep(SAMPLED_EVERY_S)


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _decoders(pid: int) -> list[int]:
    """The leaves of the tree of processes below us."""
    below = _children(pid)
    return [leaf for child in below for leaf in _decoders(child)] if below else [pid]


def _high_water_bytes(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0
