"""The table of our own processes, as the local stack runs them.

In: a site and settings. Out: supervised programs and where each says that it is ready.
Must not import the processes: each is a command.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from local import plain_http
from local.engines.program import Program, Site
from local.ports import LOOPBACK

_WRITING = ("topics", "schemas", "tables", "bucket")


@dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    """One of our processes; its name is also its row in the port table."""

    name: str
    arguments: tuple[str, ...]
    settings: Mapping[str, str] = field(default_factory=dict)
    # Engines and steps of local/provision.py that must be done before it starts.
    needs: tuple[str, ...] = _WRITING
    ready_path: str = "/healthz"
    # The longest drain: a speech worker finishes the batch that its model is at.
    stop_wait_s: int = 30
    # Generous, like an engine's: a process that fails ends and is noticed at once.
    ready_within_s: int = 300


_CHUNKER = ("-m", "streams.chunker.app")
_SPEECH = ("-m", "streams.speech.worker", "--role")
# It imports torch and loads a model first.
_MODEL_READY_WITHIN_S = 600

_TABLE = (
    Process(name="api", arguments=("-m", "api.main"), needs=(*_WRITING, "opensearch"), ready_path="/ready"),
    Process(name="chunker", arguments=_CHUNKER, settings={"PALIMPSEST_UPLOAD_TOPIC": "uploads"}),
    Process(name="chunker-long", arguments=_CHUNKER, settings={"PALIMPSEST_UPLOAD_TOPIC": "uploads.long"}),
    Process(
        name="speech-asr",
        arguments=(*_SPEECH, "asr"),
        needs=("topics", "schemas", "bucket", "models"),
        ready_within_s=_MODEL_READY_WITHIN_S,
    ),
    Process(
        name="speech-diarization",
        arguments=(*_SPEECH, "diarization"),
        needs=("topics", "schemas", "bucket", "models"),
        ready_within_s=_MODEL_READY_WITHIN_S,
    ),
    Process(name="assembler", arguments=("-m", "streams.assembler.worker")),
    Process(name="projector", arguments=("-m", "projections.projector"), needs=(*_WRITING, "opensearch")),
    Process(name="effects", arguments=("-m", "effects.main"), needs=(*_WRITING, "opensearch")),
)
PROCESSES = MappingProxyType({process.name: process for process in _TABLE})

# In this order they are asked to end: first nobody can hand in work, then what is under way is put down.
STOP_ORDER = (
    ("api",),
    ("effects", "chunker", "chunker-long"),
    ("speech-asr", "speech-diarization"),
    ("assembler",),
    ("projector",),
)


def process_settings(process: Process, site: Site, shared: Mapping[str, str]) -> dict[str, str]:
    """The whole environment that is this process's own."""
    health = {"PALIMPSEST_HEALTH_HOST": LOOPBACK, "PALIMPSEST_HEALTH_PORT": str(site.port(process.name))}
    if process.name == "api":
        health = {}
    # A name that lasts: a killed consumer comes back as the member it was, and nobody waits for its session to end.
    return {**shared, **process.settings, **health, "PALIMPSEST_INSTANCE_ID": process.name}


def process_program(process: Process, site: Site, shared: Mapping[str, str]) -> Program:
    """The process as the supervisor runs it."""
    return Program(
        name=process.name,
        command=(sys.executable, *process.arguments),
        environment={**process_settings(process, site, shared), "PYTHONUNBUFFERED": "1"},
        stop_wait_s=process.stop_wait_s,
        start_s=2,
    )


def process_url(process: Process, site: Site) -> str:
    """Where the process says whether it is ready."""
    return f"http://{site.address(process.name)}{process.ready_path}"


def probe_process(process: Process, site: Site) -> None:
    """Raise an OSError until the process says that it is ready."""
    plain_http.get(site.address(process.name), process.ready_path)
