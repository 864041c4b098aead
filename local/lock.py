"""Writes `artifacts.lock`: resolves every engine artifact and hashes it, and hashes every model file.

In: the wanted artifacts and the installed model packages. Out: the text of the lock file.
Must not know how artifacts are fetched for a start; that only reads the lock.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from local.artifacts import DOWNLOAD_TIMEOUT_S, LOCK_FILE, WANTED, Artifact, sha256_of
from local.errors import MissingTool
from local.models import model_sources

if TYPE_CHECKING:
    from jgo.maven import Dependency, MavenContext

NOT_AT_RUN_TIME = ("provided", "system", "test")

HEADER = """\
# Every file that the engines and the speech models are made of, with its sha256.
# Written by `python -m local lock`; a start refuses a file that differs.
# Programs from Python packages (Java runtime, PostgreSQL, rclone, supervisor) are locked in requirements.lock.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class JarFile:
    """One resolved file; `key` names it without its version."""

    key: str
    coordinate: str
    path: Path


def write_lock(lock_file: Path = LOCK_FILE) -> None:
    """Resolve everything anew and write the lock file."""
    engines = {engine: _resolve(wanted) for engine, wanted in WANTED.items()}
    models = {name: source.sha256() for name, source in model_sources().items()}
    lock_file.write_text(render(engines, models))


def render(engines: Mapping[str, Sequence[Artifact]], models: Mapping[str, str]) -> str:
    """The lock file's text: TOML, one line a file, in a stable order."""
    lines = [HEADER]
    for engine, artifacts in sorted(engines.items()):
        lines.append(f"[engines.{engine}]")
        lines += [f'"{a.coordinate}" = "{a.sha256}"' for a in sorted(artifacts, key=lambda a: a.coordinate)]
        lines.append("")
    lines.append("[models]")
    lines += [f'"{name}" = "{sha256}"' for name, sha256 in sorted(models.items())]
    return "\n".join(lines) + "\n"


def _resolve(wanted: Sequence[str]) -> list[Artifact]:
    """The wanted files and, for JARs, everything they need at run time.

    Each is resolved by itself: together, one's table of managed versions would apply to the other's needs (log4j's
    asks for an old Kafka client). Where two need the same artifact, the one wanted first decides the version.
    """
    from jgo.maven import MavenContext

    with tempfile.TemporaryDirectory() as cache:
        context = MavenContext(repo_cache=Path(cache), timeout=DOWNLOAD_TIMEOUT_S)
        found: dict[str, JarFile] = {}
        for coordinate in wanted:
            for file in _with_needs(context, coordinate):
                found.setdefault(file.key, file)
        files = list(found.values())
        _require_distinct(files)
        sys.stderr.write(f"{wanted[0]}: {len(files)} files\n")
        return [Artifact(coordinate=file.coordinate, sha256=sha256_of(file.path)) for file in files]


def _with_needs(context: MavenContext, coordinate: str) -> list[JarFile]:
    group, name, version, *rest = coordinate.split(":")
    component = context.project(group, name).at_version(version)
    if rest:
        path = component.artifact(classifier=rest[1], packaging=rest[0]).resolve()
        return [JarFile(key=coordinate, coordinate=coordinate, path=path)]
    inputs, needs = context.resolver.resolve([context.create_dependency(coordinate)])
    return [_jar_file(node) for node in (*inputs, *needs) if not node.optional and node.scope not in NOT_AT_RUN_TIME]


def _jar_file(node: Dependency) -> JarFile:
    tail = f":jar:{node.classifier}" if node.classifier else ""
    name = f"{node.groupId}:{node.artifactId}"
    return JarFile(key=name + tail, coordinate=f"{name}:{node.version}{tail}", path=node.artifact.resolve())


def _require_distinct(files: Sequence[JarFile]) -> None:
    """All files of an engine lie in one folder, so two of one name would hide each other."""
    names = [file.path.name for file in files]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise MissingTool(f"Two artifacts have the same file name: {', '.join(sorted(twice))}.")
