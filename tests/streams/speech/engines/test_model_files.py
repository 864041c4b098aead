"""Model files are found, or the reason is a sentence."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.settings import Speech
from streams.speech.engines import model_files
from streams.speech.engines.protocol import EngineUnavailable


def test_hash_is_over_all_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "b").write_bytes(b"two")
    assert model_files.sha256_of(tmp_path / "a", tmp_path / "b") == hashlib.sha256(b"onetwo").hexdigest()


def test_a_missing_bundled_model_says_where_it_should_be(speech_settings: Speech, tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match=r"no model\.bin in .*whisper-base"):
        model_files.whisper_folder(replace(speech_settings, model_dir=str(tmp_path)))


def test_a_folder_without_a_model_is_refused(speech_settings: Speech, tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match=r"no model\.bin"):
        model_files.whisper_folder(replace(speech_settings, model=str(tmp_path)))
    with pytest.raises(EngineUnavailable, match="no model folder"):
        model_files.whisper_folder(replace(speech_settings, model=str(tmp_path / "gone")))


def test_another_name_is_one_of_the_hub(speech_settings: Speech) -> None:
    assert model_files.whisper_folder(replace(speech_settings, model="large-v3-turbo")) is None


def test_a_packaged_file_is_found_without_importing_its_package() -> None:
    assert model_files.packaged_file("whisperx", "assets/pytorch_model.bin").is_file()
    with pytest.raises(EngineUnavailable, match="holds no"):
        model_files.packaged_file("whisperx", "assets/none.bin")
    with pytest.raises(EngineUnavailable, match="not installed"):
        model_files.packaged_file("no_such_package", "model.bin")


def test_a_mounted_file_comes_before_the_packaged_one(tmp_path: Path) -> None:
    mounted = tmp_path / "pytorch_model.bin"
    packaged = model_files.mounted_or_packaged(mounted, "whisperx", "assets/pytorch_model.bin")
    mounted.write_bytes(b"")
    assert packaged.is_file() and packaged != mounted
    assert model_files.mounted_or_packaged(mounted, "whisperx", "assets/pytorch_model.bin") == mounted
