"""The decoder processes: one stranger's file in, chunks out, and nothing else within reach.

A nursery process loads the libraries, which takes longer than cutting a minute of sound, locks itself in and forks a
decoder for each file: one file, one process. In: over the nursery's standard input, a socket for each decoder; over
that, one DecodeRequest with a file descriptor. Out: Opened, a ChunkEncoded for each chunk as it is cut, and Finished
or Rejected. Knows no Kafka, no object store, no secret (its environment is empty) and no file but the one it is given.
"""

import ctypes
import io
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator

import av
import av.logging
import soundfile

from streams.chunker.cut import SAMPLE_RATE_HZ, SAMPLES_PER_MS, Chunk, Cutter, Samples
from streams.chunker.decode import Media, MediaRefused
from streams.chunker.frames import (
    HEADER,
    MAX_BODY_BYTES,
    ChunkEncoded,
    DecodeRequest,
    Finished,
    Frame,
    Ready,
    Rejected,
    body_size,
    pack,
    unpack,
)
from streams.chunker.loudness import Leveler

MEMORY_BYTES = 2_000_000_000
CPU_S = 60
DECODED_S_PER_CPU_S = 60
OPEN_FILES = 32
# Larger levels save a hundredth of the bytes.
FLAC_COMPRESSION = 0.5
_NOBODY = 65_534
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38


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
    with os.fdopen(file, "rb", buffering=0) as source:
        _allow_cpu(0, request.max_audio_s)
        for frame in answer(source, request):
            line.sendall(pack(frame))
            if isinstance(frame, ChunkEncoded):
                _allow_cpu(frame.end_ms // 1000, request.max_audio_s)
    return 0


def answer(source: io.FileIO, request: DecodeRequest) -> Iterator[Frame]:
    """All frames that follow a request."""
    try:
        media = Media(source)
        yield media.info
        yield from _chunks(media, request.max_audio_s)
    except MediaRefused as refusal:
        yield Rejected(code=refusal.code, message=refusal.message)


def _chunks(media: Media, max_audio_s: int) -> Iterator[Frame]:
    leveler, cutter, decoded = Leveler(), Cutter(), 0
    for block in media.blocks():
        decoded += len(block)
        if decoded > max_audio_s * SAMPLE_RATE_HZ:
            raise MediaRefused("too_long", f"The recording is longer than {_hours(max_audio_s)}, the most allowed.")
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


def lock_in() -> tuple[str, ...]:
    """Gives up what a decoder does not need; returns the names of what took hold."""
    limits = {
        resource.RLIMIT_AS: MEMORY_BYTES,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    for limit, value in limits.items():
        resource.setrlimit(limit, (value, value))
    locks = ["limits"]
    if os.getuid() == 0 and _become_nobody():
        locks.append("nobody")
    _LIBC.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    if _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        locks.append("no_new_privileges")
    # After the change of user, which would undo it.
    die_with_parent()
    return tuple(locks)


def die_with_parent() -> None:
    """Has the kernel kill this process when the one that started it ends; a fork does not inherit it."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _become_nobody() -> bool:
    """Another user than our processes', so that their memory and environment cannot be read; not inside bubblewrap."""
    try:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    except OSError:
        return False
    return True


def _allow_cpu(decoded_s: int, max_audio_s: int) -> None:
    """CPU time grows with what was decoded: a file that burns time without giving sound is stopped early."""
    most = CPU_S + max_audio_s // DECODED_S_PER_CPU_S
    resource.setrlimit(resource.RLIMIT_CPU, (min(CPU_S + decoded_s // DECODED_S_PER_CPU_S, most), most))


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
