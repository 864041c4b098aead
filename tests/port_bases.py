"""Ports for a stack of a test's own.

In: nothing. Out: a port base whose whole table is free now. Several checkouts may be tested on one machine at once.
"""

from local.errors import PortTaken
from local.ports import OFFSETS, require_free

FIRST = 18_600
STEP = 100
TRIED = 20


def free_port_base() -> int:
    """The first base of which no port is taken."""
    for number in range(TRIED):
        base = FIRST + STEP * number
        try:
            require_free(OFFSETS, base)
        except PortTaken:
            continue
        return base
    raise AssertionError("no ports are free")
