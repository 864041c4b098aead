"""Looks at the run from outside once a second: offsets that consumers have stored, memory and files of processes.

In: a world. Out: `samples.jsonl`. Judges nothing; the checker does.
"""

import json
import os
import threading
from contextlib import suppress
from pathlib import Path

import psycopg

from local import pids, supervisor
from local.errors import NotRunning
from tests.chaos.plan import OURS
from tests.chaos.world import World

PERIOD_S = 1.0
MEMORY_EVERY = 5
CONNECT_TIMEOUT_S = 3


class Watch:
    """A thread that takes samples until stopped."""

    def __init__(self, world: World, folder: Path) -> None:
        self._world = world
        self._file = (folder / "samples.jsonl").open("w")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch")

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it."""
        self._stop.set()
        self._thread.join()
        self._file.close()

    def _run(self) -> None:
        dsn, turn = self._world.shared_settings()["PALIMPSEST_POSTGRES_DSN"], 0
        while not self._stop.wait(PERIOD_S):
            turn += 1
            with suppress(psycopg.Error):
                self._write({"offsets": offsets(dsn)})
            if turn % MEMORY_EVERY == 0:
                with suppress(NotRunning):
                    self._write({"processes": self._processes()})

    def _write(self, sample: dict[str, object]) -> None:
        print(json.dumps(sample), file=self._file)

    def _processes(self) -> dict[str, list[int]]:
        """Bytes and open files of each of our processes that runs."""
        found = {}
        for name, state in supervisor.states(self._world.layout).items():
            if name in OURS and state.pid:
                with suppress(OSError):
                    files = len(os.listdir(f"/proc/{state.pid}/fd"))
                    found[name] = [pids.family_bytes(state.pid), files, state.pid]
        return found


def offsets(dsn: str) -> list[list[str | int]]:
    """What each consumer has stored as its next offset."""
    with psycopg.connect(dsn, connect_timeout=CONNECT_TIMEOUT_S) as conn:
        rows = conn.execute("SELECT consumer, topic, partition, next_offset FROM consumer_offsets").fetchall()
    return [[str(consumer), str(topic), int(part), int(following)] for consumer, topic, part, following in rows]
