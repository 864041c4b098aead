"""The recogniser on real recordings: right words, right languages, nothing out of silence."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import jiwer
import numpy as np
import pytest
from numpy.typing import NDArray
from whisper_normalizer.basic import BasicTextNormalizer
from whisper_normalizer.english import EnglishTextNormalizer

from runtime.settings import Speech
from schemas.values import Quality, Timing, TranscriptionOptions, Word
from streams.speech.engines.protocol import ChunkAudio, ChunkError, EngineUnavailable, Transcription
from streams.speech.engines.whisperx import WhisperXEngine
from tests.streams.speech.engines.conftest import Recording, chunk_of

JFK = "And so, my fellow Americans, ask not what your country can do for you, ask what you can do for your country."
GERMAN = (
    "für die besten aussichten auf hongkong sollten sie die insel verlassen "
    "und zum gegenüberliegenden ufer von kowloon fahren"
)
Samples = NDArray[np.float32]
MEASURED_PLUS = 0.06  # room for another processor's arithmetic over the rate measured


def transcribed(engine: WhisperXEngine, *chunks: ChunkAudio) -> list[Transcription]:
    found = [outcome for outcome in engine.run(chunks) if isinstance(outcome, Transcription)]
    assert len(found) == len(chunks)
    return found


def text(found: Transcription) -> str:
    return " ".join(passage.text for passage in found.passages)


def words(found: Transcription) -> list[Word]:
    return [word for passage in found.passages for word in passage.words]


def test_an_english_speech_is_written_down(recogniser: WhisperXEngine, recording: Recording) -> None:
    [found] = transcribed(recogniser, recording("jfk"))
    normal = EnglishTextNormalizer()
    assert jiwer.wer(normal(JFK), normal(text(found))) <= MEASURED_PLUS
    assert found.language == "en"
    assert found.language_probability is not None and found.language_probability > 0.9
    assert " ".join(word.text for word in words(found)) == text(found)


def test_words_begin_after_their_pauses(recogniser: WhisperXEngine, recording: Recording) -> None:
    [found] = transcribed(recogniser, recording("jfk"))
    starts = [word.start_ms for word in words(found) if word.text == "ask"]
    # Heard and read off the waveform; cross-attention alone begins the second a second early.
    assert starts == [pytest.approx(3_300, abs=150), pytest.approx(8_200, abs=150)]
    assert all(word.timing is Timing.ALIGNED for word in words(found))


def test_german_is_heard_as_german(recogniser: WhisperXEngine, recording: Recording) -> None:
    [found] = transcribed(recogniser, recording("fleurs-de-000"))
    assert found.language == "de"
    normal = BasicTextNormalizer()
    assert jiwer.wer(normal(GERMAN), normal(text(found))) <= 0.23 + MEASURED_PLUS


def test_languages_of_one_batch_do_not_mix(recogniser: WhisperXEngine, recording: Recording) -> None:
    names = ("jfk", "fleurs-de-000", "fleurs-en-001")
    together = transcribed(recogniser, *(recording(name) for name in names))
    assert [found.language for found in together] == ["en", "de", "en"]
    alone = [found for name in names for found in transcribed(recogniser, recording(name))]
    assert [text(found) for found in together] == [text(found) for found in alone]


def test_two_languages_in_one_chunk_are_both_written(recogniser: WhisperXEngine, recording: Recording) -> None:
    silence = np.zeros(4 * 16_000, np.float32)
    parts = [recording("fleurs-de-000").samples, silence, recording("jfk").samples]
    [found] = transcribed(recogniser, chunk_of(np.concatenate(parts), None))
    assert [passage.language for passage in found.passages] == ["de", "en"]
    assert found.language == "en"  # a second more of it


def sounds_without_speech() -> dict[str, Samples]:
    """Ten seconds each, as loud as the chunker makes them."""
    draw, at = np.random.default_rng(3), np.arange(160_000) / 16_000
    white = draw.standard_normal(len(at))
    chord = sum(np.sin(2 * np.pi * f * at) for f in (220.0, 277.2, 329.6)) * (0.6 + 0.4 * np.sin(2 * np.pi * 0.5 * at))
    melody = np.sin(2 * np.pi * np.repeat(220 * 2 ** (draw.integers(0, 12, 40) / 12), 4_000) * at)
    beat = white * np.exp(-((at * 2) % 1) * 12)
    loud = {"hiss": white, "brown": np.cumsum(white) / 100, "hum": np.sin(2 * np.pi * 50 * at)}
    loud |= {"chord": chord, "melody": melody, "beat": beat}
    quiet = {"silence": np.zeros(len(at)), "faint hiss": 0.003 * white}
    return {name: (s * 0.1 / np.sqrt(np.mean(s**2))).astype(np.float32) for name, s in loud.items()} | {
        name: s.astype(np.float32) for name, s in quiet.items()
    }


@pytest.mark.parametrize("quality", list(Quality))
def test_noise_music_and_silence_have_no_words(recogniser: WhisperXEngine, quality: Quality) -> None:
    sounds = sounds_without_speech()
    options = TranscriptionOptions(quality=quality)
    found = transcribed(recogniser, *(chunk_of(sound, options) for sound in sounds.values()))
    assert {name: text(one) for name, one in zip(sounds, found, strict=True) if one.passages} == {}


def test_a_translation_is_english_with_timed_words(recogniser: WhisperXEngine, recording: Recording) -> None:
    german = replace(recording("fleurs-de-000"), options=TranscriptionOptions(translate=True))
    [found] = transcribed(recogniser, german)
    assert found.language == "en"
    assert {"the", "island"} <= set(text(found).lower().split())
    assert all("translated" in passage.flags for passage in found.passages)
    assert words(found) and all(word.timing is not Timing.NONE for word in words(found))


def test_only_allowed_languages_are_written(recogniser: WhisperXEngine, recording: Recording) -> None:
    german = recording("fleurs-de-000")
    allowed, unknown = (
        replace(german, options=TranscriptionOptions(languages=codes)) for codes in (("de", "fr"), ("tlh",))
    )
    found, refused = recogniser.run([allowed, unknown])
    assert isinstance(found, Transcription) and found.language == "de"
    assert isinstance(refused, ChunkError) and refused.code == "unsupported_language"


def test_every_quality_writes_a_clear_speech(recogniser: WhisperXEngine, recording: Recording) -> None:
    chunks = [replace(recording("jfk"), options=TranscriptionOptions(quality=quality)) for quality in Quality]
    normal = EnglishTextNormalizer()
    for found in transcribed(recogniser, *chunks):
        assert jiwer.wer(normal(JFK), normal(text(found))) <= MEASURED_PLUS


def test_times_are_in_the_recording_and_the_core(recogniser: WhisperXEngine, recording: Recording) -> None:
    whole = recording("jfk")
    chunk = replace(whole, object_start_ms=50_000, start_ms=53_000, end_ms=58_000)
    [found] = transcribed(recogniser, chunk)
    times = [time for word in words(found) for time in (word.start_ms, word.end_ms) if time is not None]
    assert times and all(53_000 <= time <= 58_000 for time in times)
    assert all(a <= b for a, b in pairwise(times))
    assert text(found).lower().startswith("ask not")


def test_vocabulary_steers_the_spelling_and_what_does_not_fit_is_reported(
    recogniser: WhisperXEngine, recording: Recording
) -> None:
    plain = recording("fleurs-de-000")
    fits = replace(plain, options=TranscriptionOptions(vocabulary=("Kowloon", "Hongkong")))
    long = tuple(f"Donaudampfschifffahrtsgesellschaft{n}" for n in range(40))
    too_long = replace(plain, options=TranscriptionOptions(vocabulary=long))
    without, steered, cut = transcribed(recogniser, plain, fits, too_long)
    assert "Kowloon" not in text(without) and without.warnings == ()
    assert "Kowloon" in text(steered) and steered.warnings == ()
    assert [warning.code for warning in cut.warnings] == ["vocabulary_truncated"]


def test_a_language_the_model_does_not_know_fails_its_chunk_only(
    recogniser: WhisperXEngine, recording: Recording
) -> None:
    good = recording("jfk")
    bad = replace(good, options=TranscriptionOptions(language="tlh"))
    refused, found = recogniser.run([bad, good])
    assert isinstance(refused, ChunkError) and refused.code == "unsupported_language" and not refused.retryable
    assert isinstance(found, Transcription) and found.passages


def test_a_device_that_is_missing_is_an_error(speech_settings: Speech) -> None:
    with pytest.raises(EngineUnavailable, match="no CUDA device"):
        WhisperXEngine(replace(speech_settings, device="cuda")).load()


def test_arithmetic_the_processor_does_not_know_is_an_error(speech_settings: Speech) -> None:
    with pytest.raises(EngineUnavailable, match="compute type"):
        WhisperXEngine(replace(speech_settings, compute_type="float7")).load()


def test_a_broken_model_is_an_error(speech_settings: Speech, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"nothing")
    with pytest.raises(EngineUnavailable, match="cannot be loaded"):
        WhisperXEngine(replace(speech_settings, model=str(tmp_path))).load()
