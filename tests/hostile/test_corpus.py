"""Hostile files through the real decoder processes: none reads what is not its own, none kills, none grows."""

import asyncio
import shutil
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from streams.chunker.sandbox import Decoders, bubblewrap
from tests.hostile.corpus.bombs import silent_flac, silent_opus
from tests.hostile.corpus.references import references
from tests.hostile.corpus.targets import Targets, Touched, watched
from tests.hostile.corpus.whole import CODES, DECODED, MAX_AUDIO_S, allowed, corpus
from tests.hostile.decoding import Outcome, outcome

MAX_PEAK_BYTES = 300_000_000
LEAST_FILES = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The corpus, decoded once for all tests."""

    outcomes: Mapping[str, Outcome]
    touched: Touched


async def decoded(files: Mapping[str, bytes], enclosure: tuple[str, ...] | None = None) -> dict[str, Outcome]:
    """Every file through decoders, one after the other."""
    async with Decoders(enclosure) as decoders:
        return {name: await outcome(decoders, data, MAX_AUDIO_S) for name, data in files.items()}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with watched(tmp_path_factory.mktemp("targets")) as (targets, touched):
        outcomes = asyncio.run(decoded(corpus(targets)))
    yield Run(outcomes=outcomes, touched=touched)


def test_nothing_is_read_and_nobody_is_asked(run: Run) -> None:
    assert len(run.outcomes) >= LEAST_FILES
    assert (run.touched.reads, run.touched.connections) == (0, 0)


def test_the_targets_would_notice(tmp_path: Path) -> None:
    with watched(tmp_path) as (targets, touched):
        targets.file.read_bytes()
        socket.create_connection(("127.0.0.1", targets.port)).close()
    assert touched.reads > 0
    assert touched.connections == 1


def test_no_decoder_dies(run: Run) -> None:
    assert [name for name, end in run.outcomes.items() if end.code == "crashed"] == []


def test_no_decoder_grows(run: Run) -> None:
    assert {name: end.peak_bytes for name, end in run.outcomes.items() if end.peak_bytes > MAX_PEAK_BYTES} == {}


def test_each_file_ends_as_it_should(run: Run) -> None:
    ends = {name: (end.code, end.decoded_ms) for name, end in run.outcomes.items()}
    assert {name: end for name, end in ends.items() if not allowed(name, *end)} == {}


def test_a_refusal_is_a_code_and_a_sentence_without_the_decoders_words(run: Run) -> None:
    for name, end in run.outcomes.items():
        assert end.code in CODES | {DECODED}, name
        if end.code != DECODED:
            assert end.message.endswith("."), name
            assert not any(word in end.message for word in ("Errno", "av.", "Error", "libav", "/", "0x")), name


def test_a_stated_length_over_the_limit_is_refused_before_anything_is_decoded(run: Run) -> None:
    stated = [end for end in run.outcomes.values() if end.code == "too_long"]
    assert len(stated) >= 4
    assert {end.decoded_ms for end in stated} == {0}


@pytest.mark.parametrize("enclosed", [False, True], ids=["alone", "bubblewrap"])
async def test_references_lead_nowhere_with_and_without_bubblewrap(enclosed: bool, tmp_path: Path) -> None:
    if enclosed and shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    with watched(tmp_path) as (targets, touched):
        named = ("hls-file.m3u8", "hls-address.m3u8", "concat-relative.wav", "dref-file.mov", "reference-movie.mov")
        files = {name: references(targets)[name] for name in named}
        ends = await decoded(files, bubblewrap() if enclosed else ())
    assert [name for name, end in ends.items() if not allowed(name, end.code, end.decoded_ms)] == []
    assert (touched.reads, touched.connections) == (0, 0)


@pytest.mark.parametrize(
    ("bomb", "seconds"), [(silent_flac(1_200, claimed_s=0), 600), (silent_opus(1_200, stated=False), 600)]
)
async def test_a_length_that_is_not_stated_is_found_out_while_decoding(bomb: bytes, seconds: int) -> None:
    assert len(bomb) < 200_000
    async with Decoders() as decoders:
        end = await outcome(decoders, bomb, seconds)
    assert end.code == "too_long"
    assert end.peak_bytes < MAX_PEAK_BYTES
    # Chunks before it were cut already: the job's end takes them back.
    assert 0 < end.decoded_ms <= seconds * 1_000


def test_the_same_targets_give_the_same_corpus() -> None:
    targets = Targets(file=Path("/nowhere/other.wav"), port=9)
    assert references(targets) == references(targets)
