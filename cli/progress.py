"""How far each file is, for a person who waits: bars on a terminal, a line now and then elsewhere.

In: steps by file. Out: text on standard error, so that standard output holds results only.
Must not know what the steps are.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from cli.text import printable

NAME_WIDTH = 28
_PLAIN_STEP = 0.25
_LAST_STAGE = "done"
_ALMOST_FULL = 0.999


class Display(Protocol):
    """What a waiting command reports to; called from several threads."""

    def step(self, name: str, stage: str, fraction: float) -> None:
        """`name` is at `stage`, of which this fraction is done."""

    def say(self, name: str, sentence: str) -> None:
        """A line that stays."""


class Bars:
    """One bar per file, drawn by rich."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._lock = Lock()

    def step(self, name: str, stage: str, fraction: float) -> None:
        with self._lock:
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(_short(name), total=1.0, stage="")
        # rich stops a bar's clock for good when it is full for the first time.
        completed = fraction if stage == _LAST_STAGE else min(fraction, _ALMOST_FULL)
        self._progress.update(self._tasks[name], completed=completed, stage=stage)

    def say(self, name: str, sentence: str) -> None:
        self._progress.console.print(Text(f"{printable(name)}: {printable(sentence)}"))


class Lines:
    """A line whenever the stage changes or a quarter more is done: what a log wants."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._last: dict[str, tuple[str, float]] = {}
        self._lock = Lock()

    def step(self, name: str, stage: str, fraction: float) -> None:
        with self._lock:
            before, at = self._last.get(name, ("", 0.0))
            if stage == before and fraction < at + _PLAIN_STEP:
                return
            self._last[name] = (stage, fraction)
            self._out.write(f"{printable(name)}: {stage} {fraction:.0%}\n")

    def say(self, name: str, sentence: str) -> None:
        with self._lock:
            self._out.write(f"{printable(name)}: {printable(sentence)}\n")


def _short(name: str) -> str:
    shown = printable(name)
    shown = shown if len(shown) <= NAME_WIDTH else shown[: NAME_WIDTH - 1] + "…"
    # rich reads square brackets in a description as markup.
    return shown.replace("[", r"\[")


@contextmanager
def display(out: TextIO | None = None) -> Iterator[Display]:
    """Bars where `out` (standard error) is a terminal, lines elsewhere."""
    out = out or sys.stderr
    if not out.isatty():
        yield Lines(out)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[stage]:<12}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(file=out)) as progress:
        yield Bars(progress)
