"""Every byte that a workspace has on the disk, searched for markers.

In: where the engines keep their files, and the names of a workspace. Out: the files that hold one, by place.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from runtime.settings import Settings
from schemas.topics import TRANSCRIPTS

# Topics that forget by age: what is on them is not expected to be gone.
BY_AGE = ("uploads", "uploads.long", "controls", "chunks.interactive", "chunks.batch", "transcriptions", "corrections")
BLOCK_BYTES = 4_194_304


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """Folders by the name of what lies there."""

    places: Mapping[str, tuple[Path, ...]]

    def holding(self, *markers: str) -> dict[str, list[str]]:
        """Names of files that hold any of the markers, by place; places without any are left out."""
        wanted = [marker.encode() for marker in markers]
        found = {
            place: [path.name for folder in folders for path in _files(folder) if _holds(path, wanted)]
            for place, folders in self.places.items()
        }
        return {place: names for place, names in found.items() if names}


def disk_of(settings: Settings, data: Path, logs: tuple[Path, ...]) -> Disk:
    """The disk of a workspace on engines that keep their files under `data`."""
    kafka, cluster = data / "kafka" / "log", data / "postgres" / "cluster"
    with psycopg.connect(settings.postgres_dsn) as conn:
        row = conn.execute("SELECT oid FROM pg_database WHERE datname = current_database()").fetchone()
    assert row is not None
    prefix = settings.kafka.topic_prefix
    # The broker's own topics belong to nobody: committed offsets and their metadata.
    own = [folder for folder in kafka.iterdir() if folder.name.startswith("__")]
    return Disk(
        places={
            TRANSCRIPTS: tuple(kafka.glob(f"{prefix}{TRANSCRIPTS}-*")),
            "dead-letters": tuple(kafka.glob(f"{prefix}dead-letters-*")),
            "kafka": tuple(own),
            "working topics": tuple(f for name in BY_AGE for f in kafka.glob(f"{prefix}{name}-[0-9]")),
            "tables": (cluster / "base" / str(row[0]), cluster / "base" / "pgsql_tmp", cluster / "global"),
            "write-ahead log": (cluster / "pg_wal",),
            "index": (data / "opensearch",),
            "objects": (data / "s3" / settings.objects.bucket,),
            "registry": (data / "registry",),
            "logs": logs,
        }
    )


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder, onerror=_unless_it_went):
        yield from (path for name in names if (path := Path(parent, name)).is_file())


def _unless_it_went(error: OSError) -> None:
    """Others work on the same engines: an index may be deleted while we look, and its folders with it."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _holds(path: Path, markers: Sequence[bytes]) -> bool:
    """Read, not mapped: an engine may cut a file while we look, which ends a process that has it mapped."""
    longest, kept = max(map(len, markers)), b""
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                seen = kept + block
                if any(marker in seen for marker in markers):
                    return True
                kept = seen[1 - longest :]
    except FileNotFoundError:
        return False  # it went while we looked
    return False
