"""Folders on small file systems of their own, which are filled up and freed again.

In: folders and sizes. Out: mounted disks, or why mounting was refused; a stack whose engines each have one. Needs the
right to mount: root has it, but for containers that forbid it.
"""

import shutil
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from local.stack import PASSABLE, Stack

FULL_SLACK_BYTES = 4_096
# Memory is taken for what is written, not for what might be.
TEMPORARY = "temporary"
SIZES_MB = {"kafka": 300, "postgres": 500, "opensearch": 300, "s3": 300, TEMPORARY: 100}


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A folder on a small file system of its own; `refused` says why there is none."""

    name: str
    folder: Path
    size_mb: int
    refused: str = ""

    def fill(self) -> None:
        """Takes all room away: the file system shrinks to what is on it, and a filler takes what is left."""
        self._resize(shutil.disk_usage(self.folder).used + FULL_SLACK_BYTES)
        with suppress(OSError), self._filler.open("ab", buffering=0) as filler:
            while True:
                filler.write(bytes(FULL_SLACK_BYTES))

    def free(self) -> None:
        """Gives the room back."""
        self._filler.unlink(missing_ok=True)
        self._resize(self.size_mb * 1_000_000)

    @property
    def _filler(self) -> Path:
        return self.folder / "filler"

    def unmount(self) -> None:
        """Takes the file system away with all that is on it."""
        subprocess.run(("umount", "-l", str(self.folder)), capture_output=True, check=False)

    def _resize(self, size_bytes: int) -> None:
        _mount("-o", f"remount,size={size_bytes}", str(self.folder))


def mounted(name: str, folder: Path, size_mb: int) -> Disk:
    """The folder, on a small file system where that is allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    refused = _mount("-t", "tmpfs", "-o", f"size={size_mb}m,mode={PASSABLE:o}", "tmpfs", str(folder))
    return Disk(name=name, folder=folder, size_mb=size_mb, refused=refused)


def _mount(*arguments: str) -> str:
    """An empty string, or why it was refused."""
    done = subprocess.run(("mount", *arguments), capture_output=True, text=True, check=False)
    return done.stderr.strip() or ("" if done.returncode == 0 else f"status {done.returncode}")


class SmallDisks(Stack):
    """A stack of which every engine that keeps much, and the temporary files, have a small disk of their own."""

    def __init__(
        self,
        home: Path,
        port_base: int,
        overrides: Mapping[str, str] | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(home, port_base, overrides, say)
        self.disks: dict[str, Disk] = {}
        self.refused = ""

    def mount(self) -> str:
        """To be called before it starts; why it was refused, if it was."""
        for name, size_mb in SIZES_MB.items():
            disk = mounted(name, self._folder(name), size_mb)
            if disk.refused:
                self.refused = disk.refused
                return self.refused
            self.disks[name] = disk
        for parent in (self.layout.home, self.layout.data):
            parent.chmod(PASSABLE)
        return ""

    def wipe(self) -> None:
        """Takes the disks away and removes what the stack wrote."""
        for disk in self.disks.values():
            disk.unmount()
        super().wipe()

    def _folder(self, name: str) -> Path:
        return self.layout.temporary if name == TEMPORARY else self.layout.data / name
