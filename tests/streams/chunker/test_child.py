"""What a decoder says about a file: chunks as FLAC while it decodes, then the end or a refusal."""

import io
import tempfile
from collections.abc import Iterator

import numpy as np
import pytest
import soundfile

from bench.recordings import wav_head
from streams.chunker.child import answer, encode_flac
from streams.chunker.cut import SAMPLE_RATE_HZ, SAMPLES_PER_MS
from streams.chunker.frames import ChunkEncoded, DecodeRequest, Finished, Frame, Opened, Rejected
from tests.streams.chunker.recordings import RECIPES, media_file, noise, tone


def said(data: bytes, max_audio_s: int = 3_600) -> list[Frame]:
    return list(stream(data, max_audio_s))


def stream(data: bytes, max_audio_s: int = 3_600) -> Iterator[Frame]:
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(data)
        file.seek(0)
        yield from answer(file, DecodeRequest(max_audio_s=max_audio_s))


def test_a_file_becomes_opened_chunks_and_an_end() -> None:
    opened, *chunks, finished = said(media_file(noise(70_000, -25.0), RECIPES["wav"]))
    assert isinstance(opened, Opened)
    assert isinstance(finished, Finished)
    assert finished.duration_ms == 70_000
    ends = [chunk.end_ms for chunk in chunks if isinstance(chunk, ChunkEncoded)]
    assert len(ends) == len(chunks) == 3
    assert ends[-1] == 70_000


def test_a_chunk_is_16_khz_mono_flac_with_its_margins() -> None:
    _, _, chunk, *_ = said(media_file(noise(70_000, -25.0), RECIPES["mp3"]))
    assert isinstance(chunk, ChunkEncoded)
    samples, rate = soundfile.read(io.BytesIO(chunk.flac), dtype="int16")
    assert (rate, samples.ndim) == (SAMPLE_RATE_HZ, 1)
    assert chunk.object_start_ms == chunk.start_ms - 5_000
    assert len(samples) == (chunk.end_ms + 5_000 - chunk.object_start_ms) * SAMPLES_PER_MS


def test_flac_keeps_the_samples() -> None:
    samples = noise(500, -20.0)
    read, _ = soundfile.read(io.BytesIO(encode_flac(samples)), dtype="int16")
    assert np.array_equal(read, samples)


def test_the_same_file_gives_the_same_bytes() -> None:
    data = media_file(noise(40_000, -25.0), RECIPES["m4a"])
    assert said(data) == said(data)


def test_one_sample_is_a_recording_of_a_millisecond() -> None:
    _, chunk, finished = said(wav_head(2) + b"\x01\x02")
    assert isinstance(chunk, ChunkEncoded)
    assert (chunk.start_ms, chunk.end_ms, finished) == (0, 1, Finished(duration_ms=1))


@pytest.mark.parametrize(("max_audio_s", "words"), [(3, "3 seconds"), (60, "60 seconds"), (120, "2 minutes")])
def test_a_recording_over_the_limit_is_rejected_by_what_was_decoded(max_audio_s: int, words: str) -> None:
    # The header claims one second.
    data = wav_head(4_294_967_000) + np.zeros(SAMPLE_RATE_HZ * (max_audio_s + 1), np.int16).tobytes()
    last = said(data, max_audio_s)[-1]
    assert isinstance(last, Rejected)
    assert last.code == "too_long"
    assert words in last.message


def test_the_limit_itself_is_allowed() -> None:
    assert isinstance(said(media_file(tone(3_000), RECIPES["wav"]), 3)[-1], Finished)


def test_a_refusal_is_said_in_a_sentence() -> None:
    assert said(b"not sound at all") == [
        Rejected(
            code="not_audio",
            message="The file is not audio or video in a format that can be read. "
            "WAV, MP3, M4A, AAC, FLAC, OGG, Opus, WMA, AIFF, WebM, MKV, MP4 and MOV can.",
        )
    ]
