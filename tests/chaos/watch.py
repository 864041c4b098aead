"""Looks at the run from outside once a second: stored offsets, memory and files of processes, metrics and restarts.

In: a world. Out: `samples.jsonl` for the checker, and samples of what processes and supervisor said. Judges nothing.
"""

import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psycopg
from prometheus_client.parser import text_string_to_metric_families

from local import pids, plain_http, supervisor
from local.errors import NotRunning
from tests.chaos.plan import OURS
from tests.chaos.signs import METRICS, Sample
from tests.chaos.world import World

PERIOD_S = 1.0
MEMORY_EVERY = 5
CONNECT_TIMEOUT_S = 3
# A process that is busy answers later than this now and then; one that is paused never does.
SCRAPE_TIMEOUT_S = 2.0


class Watch:
    """Threads that take samples until stopped."""

    def __init__(self, world: World, folder: Path) -> None:
        self._world = world
        self._file = (folder / "samples.jsonl").open("w")
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=work, name=work.__name__) for work in (self._run, self._listen)]
        self.samples: list[Sample] = []

    def start(self) -> None:
        """Starts the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends them."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._file.close()

    def _listen(self) -> None:
        # All at once: each that is paused takes as long as we wait for it.
        with ThreadPoolExecutor(len(OURS), thread_name_prefix="scrape") as threads:
            while not self._stop.wait(PERIOD_S):
                at_s = time.monotonic()
                # Before what takes time: a sample from before a fault must not hold what came of it.
                restarts = supervisor.restarts(self._world.layout)
                found = zip(OURS, threads.map(scrape, map(self._world.site.address, OURS)), strict=True)
                said = {name: metrics for name, metrics in found if metrics is not None}
                self.samples.append(Sample(at_s=at_s, metrics=said, restarts=restarts))

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


def scrape(address: str) -> dict[str, float] | None:
    """What a process says of itself, the labels of a metric behind its name; None where it does not answer."""
    try:
        text = plain_http.get(address, "/metrics", SCRAPE_TIMEOUT_S).decode()
    except OSError:
        return None
    samples = (
        sample for family in text_string_to_metric_families(text) for sample in family.samples if sample.name in METRICS
    )
    return {"/".join((sample.name, *sample.labels.values())): sample.value for sample in samples}


def offsets(dsn: str) -> list[list[str | int]]:
    """What each consumer has stored as its next offset."""
    with psycopg.connect(dsn, connect_timeout=CONNECT_TIMEOUT_S) as conn:
        rows = conn.execute("SELECT consumer, topic, partition, next_offset FROM consumer_offsets").fetchall()
    return [[str(consumer), str(topic), int(part), int(following)] for consumer, topic, part, following in rows]
