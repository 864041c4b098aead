"""An engine in a process of its own, so that its memory is its own and one engine's libraries are not another's.

In: what to load, then files. Out: what was loaded, then a hypothesis a file. Knows no reference.
"""

import multiprocessing
import signal
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from bench.evaluation.hypothesis import Hypothesis
from runtime.settings import Speech
from schemas.values import TranscriptionOptions


class Engine(Protocol):
    """What is measured."""

    def load(self) -> dict[str, str]:
        """Loads the models; engine → model."""

    def run(self, audio: Path) -> Hypothesis:
        """The transcript of a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """An engine to measure: `name` is what the tables call it, `plain` whether it is WhisperX itself."""

    name: str
    plain: bool
    speech: Speech
    options: TranscriptionOptions
    parts: tuple[str, ...]


class EngineFailed(Exception):
    """The engine's process ended or could not load; its own words are on standard error."""


class EngineProcess:
    """One contender, loaded; used as a context, at whose end its process is gone."""

    def __init__(self, contender: Contender) -> None:
        self.name = contender.name
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, contender), name=contender.name, daemon=True)
        self._process.start()
        theirs.close()
        self.models: dict[str, str] = self._receive()

    def __enter__(self) -> "EngineProcess":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def run(self, audio: Path) -> Hypothesis:
        """The transcript of a file; raises EngineFailed."""
        self._pipe.send(audio)
        found: Hypothesis = self._receive()
        return found

    def _receive(self) -> Any:
        try:
            return self._pipe.recv()
        except EOFError:
            raise EngineFailed(f"The process of {self.name} ended.") from None


def _serve(pipe: Connection, contender: Contender) -> None:
    # Ctrl-C is for the parent, which then ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    engine = _engine(contender)
    pipe.send(engine.load())
    try:
        while True:
            pipe.send(engine.run(pipe.recv()))
    except (EOFError, BrokenPipeError):
        return


def _engine(contender: Contender) -> Engine:
    if contender.plain:
        from bench.evaluation.plain_whisperx import PlainWhisperX

        return PlainWhisperX(contender.speech, contender.parts)
    from bench.evaluation.ours import Ours

    return Ours(contender.speech, contender.options, contender.parts)
