"""Only the locked files are used; anything else is refused with a sentence."""

import hashlib
import os
from pathlib import Path

import pytest

from local.artifacts import (
    LOCK_FILE,
    WANTED,
    Artifact,
    ensure_engine,
    locked_artifacts,
    locked_models,
    require_sha256,
)
from local.errors import ArtifactMismatch, MissingTool
from local.lock import render
from local.models import PARTS

KAFKA = "org.apache.kafka:kafka_2.13:4.3.1"
CONTENT = b"a jar"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """A lock in which every wanted Kafka artifact has the same small content."""
    artifacts = [Artifact(coordinate=coordinate, sha256=SHA256) for coordinate in WANTED["kafka"]]
    file = tmp_path / "artifacts.lock"
    file.write_text(render({"kafka": artifacts}, {}))
    return file


@pytest.fixture
def folder(tmp_path: Path, lock: Path) -> Path:
    """All locked files, already there."""
    folder = tmp_path / "kafka"
    folder.mkdir()
    for artifact in locked_artifacts("kafka", lock):
        (folder / artifact.file_name).write_bytes(CONTENT)
    return folder


def test_the_lock_names_every_wanted_artifact_and_model() -> None:
    for engine, wanted in WANTED.items():
        assert set(wanted) <= {artifact.coordinate for artifact in locked_artifacts(engine)}
    assert set(locked_models()) == set(PARTS)


def test_the_lock_holds_no_address() -> None:
    assert "://" not in LOCK_FILE.read_text()


def test_file_names_follow_maven() -> None:
    tar = Artifact(coordinate="io.apicurio:apicurio-registry-app:3.3.3:tar.gz:all", sha256="")
    assert tar.file_name == "apicurio-registry-app-3.3.3-all.tar.gz"
    assert Artifact(coordinate=KAFKA, sha256="").file_name == "kafka_2.13-4.3.1.jar"


def test_files_that_match_are_taken(folder: Path, lock: Path) -> None:
    ensure_engine("kafka", folder, lock)
    ensure_engine("kafka", folder, lock)


def test_a_changed_file_is_refused_with_its_name(folder: Path, lock: Path) -> None:
    (folder / "kafka_2.13-4.3.1.jar").write_bytes(b"another")
    with pytest.raises(ArtifactMismatch, match=r"kafka_2\.13-4\.3\.1\.jar is not the file that was locked"):
        ensure_engine("kafka", folder, lock)


def test_a_file_changed_after_it_was_checked_is_refused(folder: Path, lock: Path) -> None:
    ensure_engine("kafka", folder, lock)
    jar = folder / "kafka_2.13-4.3.1.jar"
    before = jar.stat()
    jar.write_bytes(CONTENT[::-1])
    os.utime(jar, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    with pytest.raises(ArtifactMismatch):
        ensure_engine("kafka", folder, lock)


def test_a_jar_of_an_older_lock_leaves_the_class_path(folder: Path, lock: Path) -> None:
    (folder / "kafka_2.13-4.2.0.jar").write_bytes(CONTENT)
    ensure_engine("kafka", folder, lock)
    assert not (folder / "kafka_2.13-4.2.0.jar").exists()


def test_a_lock_without_a_wanted_artifact_says_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "artifacts.lock"
    file.write_text(render({"kafka": [Artifact(coordinate=KAFKA, sha256=SHA256)]}, {}))
    with pytest.raises(MissingTool, match="python -m local lock"):
        locked_artifacts("kafka", file)


def test_a_model_file_that_differs_is_refused(tmp_path: Path) -> None:
    model = tmp_path / "model.bin"
    model.write_bytes(b"weights")
    with pytest.raises(ArtifactMismatch, match=r"model\.bin"):
        require_sha256(model, SHA256)
