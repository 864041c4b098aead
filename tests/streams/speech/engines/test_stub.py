"""The stub engines repeat themselves exactly and do what a test tells them."""

import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.values import Task, TranscriptionOptions
from streams.speech.engines.protocol import SAMPLE_RATE_HZ, ChunkAudio, ChunkError, Diarization, Transcription
from streams.speech.engines.stub import CRASH_STATUS, WORDS, StubAsr, StubDiarization
from tests.contracts.test_engines import speech_settings

SETTINGS = speech_settings("stub", "stub")
BATCH = 1_000


def chunk(seed: int, *vocabulary: str, start_ms: int = 30_000, seconds: float = 2.0) -> ChunkAudio:
    samples = np.random.default_rng(seed).uniform(-0.1, 0.1, int(seconds * SAMPLE_RATE_HZ)).astype(np.float32)
    return ChunkAudio(
        samples=samples,
        object_start_ms=start_ms,
        start_ms=start_ms,
        end_ms=start_ms + int(seconds * 1000),
        options=TranscriptionOptions(vocabulary=vocabulary),
    )


def asr(audio: ChunkAudio) -> Transcription | ChunkError:
    [outcome] = StubAsr(SETTINGS).run([audio])
    return outcome


def test_the_same_chunk_has_the_same_words_and_others_have_others() -> None:
    assert asr(chunk(1)) == asr(chunk(1))
    assert len({str(asr(chunk(seed))) for seed in range(20)}) == 20


def test_options_change_the_words() -> None:
    plain = chunk(1)
    assert asr(plain) != asr(replace(plain, options=TranscriptionOptions(language="en")))


def test_a_rare_word_is_said_once() -> None:
    found = [asr(chunk(seed, "stub:rare")) for seed in (1, 1, 2)]
    texts = [outcome.passages[0].text for outcome in found if isinstance(outcome, Transcription)]
    words = [text.split()[-1] for text in texts]
    assert words[0] == words[1] != words[2]
    assert not set(words) & set(WORDS)


@given(st.integers(0, 1_000), st.floats(0.001, 2.0))
def test_words_fill_the_core_without_overlap(seed: int, seconds: float) -> None:
    audio = chunk(seed, seconds=seconds)
    found = asr(audio)
    assert isinstance(found, Transcription)
    words = [word for passage in found.passages for word in passage.words]
    times = [(word.start_ms or 0, word.end_ms or 0) for word in words]
    assert all(start < end for start, end in times)
    assert [end for _, end in times[:-1]] == [start for start, _ in times[1:]]
    assert not times or (times[0][0], times[-1][1]) == (audio.start_ms, audio.end_ms)


def test_two_voices_take_turns_over_the_whole_recording() -> None:
    found = [StubDiarization(SETTINGS).run([chunk(seed, start_ms=seed * 20_000, seconds=20)])[0] for seed in range(2)]
    voices = set()
    for outcome in found:
        assert isinstance(outcome, Diarization)
        known = outcome.evidence.embeddings[~np.isnan(outcome.evidence.embeddings[:, :, 0])]
        voices |= {row.tobytes() for row in known}
        np.testing.assert_allclose(np.linalg.norm(known, axis=1), 1, rtol=1e-5)
    assert len(voices) == 2


@pytest.mark.parametrize(
    ("term", "fails"),
    [
        ("stub:fail", True),
        ("stub:fail-round=0", True),
        ("stub:fail-round=1", False),
        ("stub:fail-task=asr", True),
        ("stub:fail-task=diarization", False),
        ("stub:fail-from=30000", True),
        ("stub:fail-from=30001", False),
        ("stub:fail-until=30001", True),
        ("stub:fail-until=30000", False),
        ("stub:fail-round=0-task=asr-from=0", True),
        ("stub:fail-round=0-task=diarization", False),
        ("Failing", False),
    ],
)
def test_a_term_fails_the_chunks_it_means(term: str, fails: bool) -> None:
    assert isinstance(asr(chunk(1, "Palimpsest", term)), ChunkError) == fails


def test_a_retry_may_succeed() -> None:
    failing = chunk(1, "stub:fail-round=0")
    assert isinstance(asr(failing), ChunkError)
    assert isinstance(asr(replace(failing, round=1)), Transcription)


def test_a_term_slows_the_chunk_down() -> None:
    began = time.monotonic()
    asr(chunk(1, "stub:slow=0.05"))
    assert time.monotonic() - began >= 0.05


def test_a_term_ends_the_process() -> None:
    code = "from tests.streams.speech.engines.test_stub import asr, chunk; asr(chunk(1, 'stub:crash')); print('alive')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (CRASH_STATUS, b"")


@pytest.mark.parametrize("task", list(Task))
def test_the_stub_is_fast(task: Task) -> None:
    engine = StubAsr(SETTINGS) if task is Task.ASR else StubDiarization(SETTINGS)
    batch = [chunk(seed, seconds=0.2) for seed in range(BATCH)]
    began = time.process_time()
    assert len(engine.run(batch)) == BATCH
    assert time.process_time() - began < 1.0
