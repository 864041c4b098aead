"""Ports for a stack of a test's own.

In: nothing. Out: a port base whose whole table is free now. Several checkouts may be tested on one machine at once.
Processes that share the tests of one look at bases of their own: two that look at one moment would find the same.
"""

import os

from local.errors import PortTaken
from local.ports import OFFSETS, require_free

FIRST = 18_600
STEP = 100
TRIED = 20


def free_port_base() -> int:
    """The first base of this process of which no port is taken."""
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for number in range(TRIED):
        base = FIRST + STEP * (TRIED * process + number)
        try:
            require_free(OFFSETS, base)
        except PortTaken:
            continue
        return base
    raise AssertionError("no ports are free")
