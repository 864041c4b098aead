"""`palimpsest rebuild PROJECTION`: views made again beside the live ones while everything runs.

In: settings and names of views. Out: the next version, live; progress on standard error. Ctrl-C stops; the same command
goes on. Must not know how a view is made.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from typing import TextIO

from cli.connection import operator_settings
from cli.errors import CommandError
from cli.text import table
from projections.rebuilding.hashes import content
from projections.rebuilding.rebuild import CannotRebuild, Place, at_work, drop, overview, rebuild, rebuilt, take_back
from projections.rebuilding.versions import State
from runtime.opensearch import SearchEngine
from runtime.postgres import connection
from runtime.settings import Settings

_TERMINAL_PERIOD_S = 0.5
_LOG_PERIOD_S = 10.0
_HEADS = ("VIEW", "VERSION", "STATE", "SINCE")


def run_rebuild(arguments: argparse.Namespace) -> int:
    """Raises CommandError with the reason where nothing was done."""
    settings = operator_settings(os.environ)
    if arguments.status or arguments.hash:
        print(_status(settings, hashed=arguments.hash))
        return 0
    try:
        names = rebuilt([arguments.projection] if arguments.projection else [])
        with at_work(settings) as place:
            print(_carried_out(place, names, arguments))
    except CannotRebuild as error:
        raise CommandError(str(error)) from error
    return 0


def _carried_out(place: Place, names: Sequence[str], arguments: argparse.Namespace) -> str:
    if arguments.abandon or arguments.drop_old:
        gone = drop(place, names, State.NEXT if arguments.abandon else State.OLD)
        return "\n".join(f"dropped {name}" for name in gone) or "nothing to drop"
    begun_s = time.monotonic()
    act = take_back if arguments.back else rebuild
    act(place, names, Progress(sys.stderr).report)
    return f"live after {time.monotonic() - begun_s:.1f} s: {', '.join(names)}"


def _status(settings: Settings, *, hashed: bool) -> str:
    """The versions of every view; counting and hashing reads them whole."""
    with (
        connection(settings.postgres_dsn, autocommit=True) as conn,
        closing(SearchEngine(settings.opensearch)) as engine,
    ):
        found = overview(conn)
        rows = [(v.projection, str(v.version), v.state.value, f"{v.changed_at:%Y-%m-%d %H:%M:%S}") for v in found]
        if not hashed:
            return table(_HEADS, rows)
        conn.execute("SET statement_timeout TO 0")
        contents = [content(conn, engine, version) for version in found]
    return table(
        (*_HEADS, "COUNT", "HASH"),
        [(*row, str(c.count), f"{c.hash:016x}") for row, c in zip(rows, contents, strict=True)],
    )


class Progress:
    """How far a rebuild is, how fast, and how long it will take: one line that is written over, or one now and then."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._begun: dict[str, tuple[float, int]] = {}
        self._said_s = 0.0

    def report(self, unit: str, done: int, total: int) -> None:
        """`done` of about `total`; called often."""
        now_s = time.monotonic()
        begun_s, first = self._begun.setdefault(unit, (now_s, done))
        terminal = self._out.isatty()
        if done < total and now_s - self._said_s < (_TERMINAL_PERIOD_S if terminal else _LOG_PERIOD_S):
            return
        self._said_s = now_s
        rate = (done - first) / max(now_s - begun_s, 0.001)
        left = f"{(total - done) / rate:,.0f} s left" if rate else "waiting"
        share = done / total if total else 1.0
        line = f"{share:4.0%}  {done:,} of {total:,} {unit}, {rate:,.0f} a second, {left}"
        self._out.write(f"\r{line}\x1b[K" if terminal and done < total else f"\r{line}\n" if terminal else f"{line}\n")
        self._out.flush()
