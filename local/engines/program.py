"""What an engine or process is to the supervisor, and what an engine is told about its place.

In: nothing. Out: the records `Program`, `Site` and `Engine`. Must not know any engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.layout import Layout
from local.ports import LOOPBACK, port_of

START_TRIES = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Secrets:
    """Passwords of one home, made on its first start."""

    postgres_password: str
    s3_secret_key: str
    # PALIMPSEST_SECRET_KEY of our processes.
    secret_key: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """Where one stack stands: its folders, its ports, its passwords."""

    layout: Layout
    port_base: int
    secrets: Secrets

    def port(self, name: str) -> int:
        return port_of(name, self.port_base)

    def address(self, name: str) -> str:
        return f"{LOOPBACK}:{self.port(name)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """One supervised child process."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = "TERM"
    # After this the supervisor kills the whole process group.
    stop_wait_s: int = 20
    # Alive for this long counts as started. What ends sooner is started again, each time after a second more: a program
    # whose disk is full, or whose engine is away, comes back by itself however long that takes.
    start_s: int = 1
    start_tries: int = START_TRIES


@dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """One engine: the ports it takes, how its data folder is made ready, how it runs, how it says it is ready."""

    name: str
    ports: tuple[str, ...]
    prepare: Callable[[Site], None]
    program: Callable[[Site], Program]
    # Raises one of PROBE_ERRORS until the engine answers in its own protocol.
    probe: Callable[[Site], None]
    # Generous: an engine that fails ends and is noticed at once; one that is slow may share a busy machine.
    ready_within_s: int = 300


def data_folder(site: Site, name: str) -> Path:
    """The engine's own folder, made when missing; what people said is in it, so others may not look."""
    folder = site.layout.data / name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
