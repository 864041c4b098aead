"""A full disk is an outage, and how full it is can be seen."""

import errno
import math
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from runtime import disk
from runtime.errors import Unavailable


def test_a_full_disk_is_an_outage_and_nothing_else_is() -> None:
    with pytest.raises(Unavailable, match="full"), disk.room(), Path("/dev/full").open("wb", buffering=0) as full:
        full.write(b"x")
    with pytest.raises(PermissionError), disk.room():
        raise PermissionError(errno.EACCES, "no")


def test_the_free_share_is_exported(tmp_path: Path) -> None:
    disk.watch({"here": tmp_path, "gone": tmp_path / "nothing"})
    share = REGISTRY.get_sample_value("palimpsest_disk_free_ratio", {"folder": "here"})
    assert share is not None and 0 < share < 1
    gone = REGISTRY.get_sample_value("palimpsest_disk_free_ratio", {"folder": "gone"})
    assert gone is not None and math.isnan(gone)
