"""The words between decoder and parent: they come back as they were, in an order that makes sense, and bounded."""

import pytest

from streams.chunker.frames import (
    HEADER,
    MAX_BODY_BYTES,
    BrokenFrame,
    ChunkEncoded,
    DecodeRequest,
    Finished,
    Frame,
    Opened,
    Ready,
    Rejected,
    Working,
    body_size,
    follows,
    pack,
    unpack,
)

REQUEST = DecodeRequest(max_audio_s=60)
OPENED = Opened(container="wav", codec="pcm_s16le", sample_rate_hz=16_000, channels=1)
REJECTED = Rejected(code="damaged", message="It is damaged.")
FINISHED = Finished(duration_ms=30_000)


def chunk(index: int, start_ms: int, end_ms: int) -> ChunkEncoded:
    return ChunkEncoded(index=index, start_ms=start_ms, end_ms=end_ms, object_start_ms=0, flac=b"fLaC")


@pytest.mark.parametrize(
    "frame",
    [Ready(locks=("limits",)), REQUEST, OPENED, chunk(0, 0, 10), FINISHED, REJECTED, Working()],
    ids=lambda f: type(f).__name__,
)
def test_a_frame_comes_back(frame: Frame) -> None:
    data = pack(frame)
    header, body = data[: HEADER.size], data[HEADER.size :]
    assert body_size(header) == len(body)
    assert unpack(header, body) == frame


def test_a_frame_is_bounded_on_both_sides() -> None:
    with pytest.raises(BrokenFrame):
        pack(ChunkEncoded(index=0, start_ms=0, end_ms=1, object_start_ms=0, flac=bytes(MAX_BODY_BYTES)))
    with pytest.raises(BrokenFrame):
        body_size(HEADER.pack(4, MAX_BODY_BYTES + 1))


@pytest.mark.parametrize("data", [HEADER.pack(99, 0), HEADER.pack(5, 1) + b"\xc1", HEADER.pack(5, 1) + b"\x80"])
def test_nonsense_is_a_broken_frame(data: bytes) -> None:
    with pytest.raises(BrokenFrame):
        unpack(data[: HEADER.size], data[HEADER.size :])


@pytest.mark.parametrize(
    ("last", "frame", "good"),
    [
        (REQUEST, OPENED, True),
        (REQUEST, REJECTED, True),
        (REQUEST, chunk(0, 0, 10), False),
        (REQUEST, FINISHED, False),
        (OPENED, chunk(0, 0, 10), True),
        (OPENED, chunk(1, 0, 10), False),
        (OPENED, chunk(0, 5, 10), False),
        (OPENED, FINISHED, False),
        (chunk(0, 0, 10), chunk(1, 10, 20), True),
        (chunk(0, 0, 10), chunk(1, 11, 20), False),
        (chunk(0, 0, 10), chunk(1, 10, 10), False),
        (chunk(0, 0, 30_000), FINISHED, True),
        (chunk(0, 0, 20_000), FINISHED, False),
        (chunk(0, 0, 10), REJECTED, True),
        (chunk(0, 0, 10), Ready(locks=()), False),
        (OPENED, Working(), False),
    ],
)
def test_what_may_follow_what(last: Frame, frame: Frame, good: bool) -> None:
    assert follows(last, frame) is good
