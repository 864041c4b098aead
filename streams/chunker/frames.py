"""What the decoder process and its parent say to each other: frames of a kind byte, a length and a MessagePack body.

In: values of the types below. Out: bytes, and values back. A frame is bounded, because the sender of most of them has
just read a stranger's file. Knows no socket.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

HEADER = struct.Struct(">BI")
MAX_BODY_BYTES = 4_000_000


class BrokenFrame(ValueError):
    """The bytes are no frame of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The decoder has loaded what it needs and locked itself in; it waits for its file."""

    locks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeRequest:
    """Decode the file whose descriptor comes with this frame."""

    max_audio_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The file has an audio track, and this is it."""

    container: str
    codec: str
    sample_rate_hz: int
    channels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkEncoded:
    """A chunk with its margins, as FLAC."""

    index: int
    start_ms: int
    end_ms: int
    object_start_ms: int
    flac: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """Nothing to say yet, but the processor is at work; may come before any other frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The file is decoded to its end."""

    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """The file cannot be transcribed, for a reason its owner understands."""

    code: str
    message: str


Frame = Ready | DecodeRequest | Opened | ChunkEncoded | Finished | Rejected | Working
_KINDS: Mapping[int, type[Frame]] = {
    1: Ready,
    2: DecodeRequest,
    3: Opened,
    4: ChunkEncoded,
    5: Finished,
    6: Rejected,
    7: Working,
}
_NUMBERS: Mapping[type[Frame], int] = {cls: number for number, cls in _KINDS.items()}


def pack(frame: Frame) -> bytes:
    """Header and body of a frame; raises BrokenFrame when it is over the limit."""
    body = msgspec.msgpack.encode(frame)
    if len(body) > MAX_BODY_BYTES:
        raise BrokenFrame(f"{type(frame).__name__} of {len(body)} bytes")
    return HEADER.pack(_NUMBERS[type(frame)], len(body)) + body


def body_size(header: bytes) -> int:
    """Length of the body that follows a header; raises BrokenFrame."""
    _, size = HEADER.unpack(header)
    if size > MAX_BODY_BYTES:
        raise BrokenFrame(f"a frame of {size} bytes")
    return int(size)


def unpack(header: bytes, body: bytes) -> Frame:
    """The frame of a header and its body; raises BrokenFrame."""
    cls = _KINDS.get(header[0])
    if cls is None:
        raise BrokenFrame(f"kind {header[0]}")
    try:
        return msgspec.msgpack.decode(body, type=cls)
    except msgspec.DecodeError as error:
        raise BrokenFrame(f"{cls.__name__}: {error}") from error


def follows(last: Frame, frame: Frame) -> bool:
    """Whether a decoder may say `frame` after `last`: chunks come in order and leave no gap."""
    match last, frame:
        case DecodeRequest() | Opened() | ChunkEncoded(), Rejected():
            return True
        case DecodeRequest(), Opened():
            return True
        case Opened(), ChunkEncoded(index=index, start_ms=start_ms):
            return index == 0 and start_ms == 0 and _spans(frame)
        case ChunkEncoded(), ChunkEncoded(index=index, start_ms=start_ms):
            return index == last.index + 1 and start_ms == last.end_ms and _spans(frame)
        case ChunkEncoded(), Finished(duration_ms=duration_ms):
            return duration_ms == last.end_ms
        case _:
            return False


def _spans(chunk: ChunkEncoded) -> bool:
    return 0 <= chunk.object_start_ms <= chunk.start_ms < chunk.end_ms
