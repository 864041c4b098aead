"""A stranger's bytes as a demuxer reads them."""

import io
import tempfile
from typing import BinaryIO, cast

import pytest

from streams.chunker.source import Source
from tests.hostile.corpus.boxes import id3
from tests.streams.chunker.recordings import RECIPES, media_file, tone


def test_it_reads_from_the_beginning() -> None:
    source = Source(io.BytesIO(b"RIFF1234"))
    assert (source.tell(), source.read(4), source.tell()) == (0, b"RIFF", 4)


@pytest.mark.parametrize(("offset", "whence"), [(-5, 0), (-100, 2), (-1, 1), (2**63, 0)])
def test_a_place_that_cannot_be_is_an_answer(offset: int, whence: int) -> None:
    with tempfile.TemporaryFile(buffering=0) as file:
        assert Source(cast(BinaryIO, file)).seek(offset, whence) < 0


@pytest.mark.parametrize(("head", "is_media"), [(b"fLaC", True), (b"\0\0\0\x20ftypisom", True), (b"#EXTM3U", False)])
def test_it_knows_media_by_its_first_bytes(head: bytes, is_media: bool) -> None:
    assert Source(io.BytesIO(head)).is_media is is_media


def test_an_mp3_that_counts_its_frames_is_told_from_one_that_does_not() -> None:
    counted = media_file(tone(500), RECIPES["mp3"])
    bare = counted.replace(b"Xing", b"none").replace(b"Info", b"none")
    for head in (b"", id3((b"TIT2", b"\0" + b"x" * 5_000))):
        assert Source(io.BytesIO(head + counted[counted.find(b"\xff\xfb") :])).counts_its_frames
        assert not Source(io.BytesIO(head + bare[bare.find(b"\xff\xfb") :])).counts_its_frames
