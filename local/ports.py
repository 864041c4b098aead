"""The one table of ports, shifted as a whole by PALIMPSEST_PORT_BASE.

In: the port base. Out: the port of each engine and process. Must not know what speaks on them.
The table lies below 32768, where Linux begins to hand out ports to outgoing connections.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from types import MappingProxyType

from local.errors import PortTaken

LOOPBACK = "127.0.0.1"
DEFAULT_PORT_BASE = 17400
LOWEST_PORT_BASE = 1024
HIGHEST_PORT_BASE = 65400

OFFSETS = MappingProxyType(
    {
        "api": 0,
        "kafka": 10,
        "kafka-controller": 11,
        "registry": 20,
        "registry-management": 21,
        "postgres": 30,
        "opensearch": 40,
        "opensearch-transport": 41,
        "s3": 50,
        "chunker": 60,
        "chunker-long": 61,
        "speech-asr": 62,
        "speech-diarization": 63,
        "assembler": 64,
        "projector": 65,
        "effects": 66,
    }
)


def port_of(name: str, port_base: int) -> int:
    """The port of one row of the table."""
    return port_base + OFFSETS[name]


def is_listening(port: int) -> bool:
    """Whether something accepts connections on this loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0


def require_free(names: Iterable[str], port_base: int) -> None:
    """Raise PortTaken for the first named row of the table that something else holds."""
    for name in names:
        port = port_of(name, port_base)
        if _is_taken(port):
            raise PortTaken(
                f"Port {port} for {name} is taken by another program; stop it, or set PALIMPSEST_PORT_BASE "
                f"(now {port_base}) to a number whose next {max(OFFSETS.values()) + 1} ports are free."
            )


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        # Like the engines: connections of an earlier run that are closing do not hold the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as exc:
            if exc.errno in (errno.EADDRINUSE, errno.EACCES):
                return True
            raise
    return False
