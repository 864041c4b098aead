"""Room on the disks that we write to.

In: folders. Out: the share that is free, as a metric read at every scrape, and Unavailable where a disk is full: it is
an engine that is away, not a file's fault, and whoever writes tries again until there is room.
"""

import errno
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from runtime.errors import Unavailable
from runtime.telemetry import disk_free_ratio

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def free_share(folder: Path) -> float:
    """Free bytes by all bytes; nan for a folder that is not there."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return float("nan")
    return usage.free / usage.total if usage.total else float("nan")


def watch(folders: Mapping[str, Path]) -> None:
    """Exports the free share of these folders' disks under their names."""
    for name, folder in folders.items():
        disk_free_ratio.labels(name).set_function(partial(free_share, folder))


@contextmanager
def room() -> Iterator[None]:
    """What is written inside raises Unavailable when the disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise Unavailable(f"the disk is full: {error.strerror}") from error
