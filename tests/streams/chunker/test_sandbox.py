"""Decoder processes: locked in, one file each, and no file takes the parent down."""

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from bench.recordings import wav_head
from streams.chunker import sandbox
from streams.chunker.cut import SAMPLE_RATE_HZ
from streams.chunker.frames import ChunkEncoded, DecodeRequest, Finished, Frame, Opened, Rejected
from streams.chunker.sandbox import FRAME_TIMEOUT_S, SILENCE_S, DecoderCrashed, DecoderHung, Decoders
from tests.deadline import until
from tests.streams.chunker.recordings import RECIPES, long_recording, media_file, noise, tone

REQUEST = DecodeRequest(max_audio_s=36_000)


@pytest.fixture
async def decoders() -> AsyncIterator[Decoders]:
    async with Decoders() as running:
        yield running


@contextmanager
def stored(data: bytes) -> Iterator[BinaryIO]:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        file.seek(0)
        yield file


async def frames(decoders: Decoders, data: bytes, request: DecodeRequest = REQUEST) -> list[Frame]:
    with stored(data) as file:
        return [frame async for frame in decoders.decode(file, request)]


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def nursery() -> int:
    """The process that decoders are forked from: this test's one child, or inside that where it is bubblewrap."""
    [pid] = [pid for pid in children(os.getpid()) if "chunker.child" in about(pid, "cmdline")]
    while "bwrap" in about(pid, "cmdline").split("\0")[0]:
        [pid] = children(pid)
    return pid


def about(pid: int, what: str) -> str:
    return Path(f"/proc/{pid}/{what}").read_text()


async def test_files_one_after_the_other(decoders: Decoders) -> None:
    for name in ("wav", "mp3", "mp4-video"):
        opened, chunk, finished = await frames(decoders, media_file(tone(2_000), RECIPES[name]))
        assert isinstance(opened, Opened)
        assert isinstance(chunk, ChunkEncoded)
        assert isinstance(finished, Finished)


async def test_a_refusal_comes_through(decoders: Decoders) -> None:
    [rejected] = await frames(decoders, b"text")
    assert isinstance(rejected, Rejected)


async def test_it_says_what_locks_the_decoder_in(decoders: Decoders) -> None:
    assert "limits" in decoders.sandbox
    assert "no_new_privileges" in decoders.sandbox


async def test_the_decoder_holds_no_secret_and_no_privilege(decoders: Decoders) -> None:
    status = dict(line.split(":\t", 1) for line in about(nursery(), "status").splitlines())
    assert status["NoNewPrivs"] == "1"
    limits = about(nursery(), "limits")
    assert "Max open files            32                   32" in limits
    assert "Max address space         2000000000           2000000000" in limits
    assert "PALIMPSEST" not in about(nursery(), "environ")
    if "nobody" in decoders.sandbox:
        assert set(status["Uid"].split()) == {"65534"}


async def test_the_first_chunk_comes_before_the_file_is_decoded(decoders: Decoders) -> None:
    hour = long_recording(60, 0x7FFFFF00)
    with stored(hour) as file:
        async with aclosing(decoders.decode(file, REQUEST)) as said:
            async for frame in said:
                if isinstance(frame, ChunkEncoded):
                    break
        # What the decoder has read is what it has decoded, but for one read ahead and the pipe.
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) < len(hour) / 4


@pytest.mark.slow
async def test_memory_does_not_grow_with_the_file(decoders: Decoders) -> None:
    peaks = {}
    for minutes in (10, 60):
        with tempfile.TemporaryFile() as file:
            file.write(wav_head(0x7FFFFF00))
            for minute in range(minutes):
                file.write(noise(60_000, -25.0, minute).tobytes())
            file.flush()
            file.seek(0)
            peak = 0
            async for _ in decoders.decode(file, REQUEST):
                peak = max(peak, 0, *(resident_bytes(pid) for pid in children(nursery())))
            peaks[minutes] = peak
    assert peaks[60] < peaks[10] + 10_000_000
    assert peaks[60] < 300_000_000


def resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
    except (FileNotFoundError, ProcessLookupError):
        return 0


@pytest.mark.parametrize("victim", ["decoder", "nursery"])
async def test_a_killed_decoder_is_an_error_and_the_next_file_works(decoders: Decoders, victim: str) -> None:
    long = long_recording(30, 0x7FFFFF00)
    with stored(long) as file, pytest.raises(DecoderCrashed):
        async for frame in decoders.decode(file, REQUEST):
            if isinstance(frame, Opened):
                os.kill(children(nursery())[0] if victim == "decoder" else nursery(), signal.SIGKILL)
    assert isinstance((await frames(decoders, media_file(tone(500), RECIPES["wav"])))[-1], Finished)


async def test_a_decoder_that_stands_still_is_noticed_soon_and_the_next_file_works(decoders: Decoders) -> None:
    long = long_recording(30, 0x7FFFFF00)
    stopped_at = 0.0
    with stored(long) as file, pytest.raises(DecoderHung):
        async for frame in decoders.decode(file, REQUEST):
            if isinstance(frame, Opened):
                os.kill(children(nursery())[0], signal.SIGSTOP)
                stopped_at = time.monotonic()
    # What it had said already is read first.
    assert SILENCE_S <= time.monotonic() - stopped_at < FRAME_TIMEOUT_S / 2
    assert isinstance((await frames(decoders, media_file(tone(500), RECIPES["wav"])))[-1], Finished)


async def test_a_parent_that_stood_still_itself_blames_no_decoder(
    decoders: Decoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    stall_s = SILENCE_S + 1
    monkeypatch.setattr(sandbox, "FRAME_TIMEOUT_S", stall_s)

    def stand_still(decoder: int) -> None:
        time.sleep(stall_s)
        os.kill(decoder, signal.SIGCONT)

    said: list[Frame] = []
    with stored(long_recording(30, 0x7FFFFF00)) as file:
        async for frame in decoders.decode(file, REQUEST):
            said.append(frame)
            if isinstance(frame, Opened):
                [decoder] = children(nursery())
                os.kill(decoder, signal.SIGSTOP)
                # By then all is read that it had said.
                asyncio.get_running_loop().call_later(0.5, stand_still, decoder)
    assert isinstance(said[-1], Finished)


async def test_a_file_given_up_leaves_no_decoder_behind(decoders: Decoders) -> None:
    long = long_recording(30, 0x7FFFFF00)
    with stored(long) as file:
        async with aclosing(decoders.decode(file, REQUEST)) as said:
            await anext(said)
        await asyncio.to_thread(until, lambda: not children(nursery()), 10, "the decoder to end")


async def test_a_day_of_silence_in_a_small_file_is_cut_off_at_the_limit(decoders: Decoders) -> None:
    bomb = media_file(np.zeros(600 * SAMPLE_RATE_HZ, np.int16), RECIPES["flac"])
    said = await frames(decoders, bomb, DecodeRequest(max_audio_s=120))
    assert isinstance(said[-1], Rejected)
    assert said[-1].code == "too_long"
