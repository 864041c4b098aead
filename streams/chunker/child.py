"""The decoder processes: one stranger's file in, chunks out, and nothing else within reach.

A nursery process loads the libraries, which takes longer than cutting a minute of sound, locks itself in and forks a
decoder for each file: one file, one process. In: over the nursery's standard input, a socket for each decoder; over
that, one DecodeRequest with a file descriptor. Out: Opened, a ChunkEncoded for each chunk as it is cut, and Finished
or Rejected. Knows no Kafka, no object store, no secret (its environment is empty) and no file but the one it is given.
"""

import io
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator

import av
import av.logging
import soundfile

from streams.chunker.budget import Budget
from streams.chunker.cut import SAMPLE_RATE_HZ, SAMPLES_PER_MS, Chunk, Cutter, Samples
from streams.chunker.decode import Media, MediaRefused, refused
from streams.chunker.frames import (
    HEADER,
    MAX_BODY_BYTES,
    ChunkEncoded,
    DecodeRequest,
    Finished,
    Frame,
    Ready,
    Rejected,
    Working,
    body_size,
    pack,
    unpack,
)
from streams.chunker.locks import die_with_parent, lock_in
from streams.chunker.loudness import Leveler

# Larger levels save a hundredth of the bytes.
FLAC_COMPRESSION = 0.5


def main() -> int:
    """Forks a decoder for each socket that comes over standard input, until that is closed."""
    av.logging.set_level(None)
    line = socket.socket(fileno=os.dup(0))
    # Nobody asks how a decoder ended: its parent sees what it said last.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    line.sendall(pack(Ready(locks=lock_in())))
    while True:
        data, [*sockets], _, _ = socket.recv_fds(line, 1, 1)
        if not data:
            return 0
        if os.fork() == 0:
            line.close()
            return serve(socket.socket(fileno=sockets[0]))
        os.close(sockets[0])


def serve(line: socket.socket) -> int:
    """Answers the one request that comes over `line`."""
    die_with_parent()
    line.sendall(pack(Ready(locks=())))
    request, file = _receive(line)
    if request is None:
        return 0
    mouth = _Mouth(line)
    budget = Budget(
        request.max_audio_s,
        working=lambda: mouth.say(Working()),
        spent=lambda: mouth.say(_rejected(refused("too_complex"))),
    )
    with os.fdopen(file, "rb", buffering=0) as source:
        for frame in answer(source, request):
            mouth.say(frame)
            budget.decoded(frame.end_ms // 1000 if isinstance(frame, ChunkEncoded) else 0)
    return 0


class _Mouth:
    """Says one frame at a time, from whatever thread, and nothing after the last word."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._lock = threading.Lock()
        self._over = False

    def say(self, frame: Frame) -> None:
        with self._lock:
            if not self._over:
                self._line.sendall(pack(frame))
            self._over = isinstance(frame, Finished | Rejected)


def answer(source: io.FileIO, request: DecodeRequest) -> Iterator[Frame]:
    """All frames that follow a request."""
    try:
        media = Media(source)
        if media.declared_s > request.max_audio_s:
            raise _too_long(request.max_audio_s)
        yield media.info
        yield from _chunks(media, request.max_audio_s)
    except MediaRefused as refusal:
        yield _rejected(refusal)
    except MemoryError:
        yield _rejected(refused("too_complex"))


def _rejected(refusal: MediaRefused) -> Rejected:
    return Rejected(code=refusal.code, message=refusal.message)


def _too_long(max_audio_s: int) -> MediaRefused:
    return MediaRefused("too_long", f"The recording is longer than {_hours(max_audio_s)}, the most allowed.")


def _chunks(media: Media, max_audio_s: int) -> Iterator[Frame]:
    leveler, cutter, decoded = Leveler(), Cutter(), 0
    for block in media.blocks():
        decoded += len(block)
        if decoded > max_audio_s * SAMPLE_RATE_HZ:
            raise _too_long(max_audio_s)
        yield from map(_encoded, cutter.feed(leveler.feed(block)))
    yield from map(_encoded, cutter.feed(leveler.finish()))
    yield from map(_encoded, cutter.finish())
    yield Finished(duration_ms=-(-decoded // SAMPLES_PER_MS))


def _hours(seconds: int) -> str:
    if seconds % 3600 == 0:
        return f"{seconds // 3600} hours" if seconds > 3600 else "an hour"
    return f"{seconds // 60} minutes" if seconds % 60 == 0 and seconds > 60 else f"{seconds} seconds"


def _encoded(chunk: Chunk) -> ChunkEncoded:
    return ChunkEncoded(
        index=chunk.index,
        start_ms=chunk.start_ms,
        end_ms=chunk.end_ms,
        object_start_ms=chunk.object_start_ms,
        flac=encode_flac(chunk.samples),
    )


def encode_flac(samples: Samples) -> bytes:
    """16-bit FLAC."""
    out = io.BytesIO()
    soundfile.write(out, samples, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16", compression_level=FLAC_COMPRESSION)
    return out.getvalue()


def _receive(line: socket.socket) -> tuple[DecodeRequest | None, int]:
    """The request and its file; None when the parent has gone or needs no decoder any more."""
    data, files, _, _ = socket.recv_fds(line, HEADER.size + MAX_BODY_BYTES, 1)
    if len(data) < HEADER.size or not files:
        return None, -1
    header, body = data[: HEADER.size], data[HEADER.size :]
    frame = unpack(header, body[: body_size(header)])
    return (frame, files[0]) if isinstance(frame, DecodeRequest) else (None, -1)


if __name__ == "__main__":
    sys.exit(main())
