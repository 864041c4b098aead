"""Model files are joined from their packages and checked."""

import hashlib
from pathlib import Path

import pytest

from local.errors import ArtifactMismatch
from local.lock import render
from local.models import PARTS, ModelSource, ensure_models, model_sources


@pytest.fixture
def halves(tmp_path: Path) -> ModelSource:
    (tmp_path / "one").write_bytes(b"first ")
    (tmp_path / "two").write_bytes(b"second")
    return ModelSource(parts=(tmp_path / "one", tmp_path / "two"))


def test_halves_become_one_file(tmp_path: Path, halves: ModelSource) -> None:
    halves.write(tmp_path / "models" / "model.bin")
    assert (tmp_path / "models" / "model.bin").read_bytes() == b"first second"
    assert halves.sha256() == hashlib.sha256(b"first second").hexdigest()


def test_every_part_is_in_an_installed_package() -> None:
    assert set(model_sources()) == set(PARTS)
    assert all(part.is_file() for source in model_sources().values() for part in source.parts)


def test_a_model_that_is_not_the_locked_one_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "artifacts.lock"
    lock.write_text(render({}, {"whisper-base/config.json": "0" * 64}))
    with pytest.raises(ArtifactMismatch, match=r"whisper-base/config\.json is not the file that was locked"):
        ensure_models(tmp_path / "models", lock)


def test_models_are_laid_out_once(tmp_path: Path) -> None:
    name = "whisper-base/config.json"
    lock = tmp_path / "artifacts.lock"
    lock.write_text(render({}, {name: model_sources()[name].sha256()}))
    ensure_models(tmp_path / "models", lock)
    written = (tmp_path / "models" / name).stat().st_mtime_ns
    ensure_models(tmp_path / "models", lock)
    assert (tmp_path / "models" / name).stat().st_mtime_ns == written
