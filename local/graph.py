"""Work of which some parts need others, done as parallel as those needs allow.

In: named tasks. Out: nothing, or the first failure. Must not know what the tasks do.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A piece of work; needs that are not among the tasks count as there already."""

    name: str
    run: Callable[[], None]
    needs: tuple[str, ...] = ()


def run_all(tasks: Sequence[Task], on_failure: Callable[[], None]) -> None:
    """Run every task once what it needs is done. At the first failure call `on_failure` and raise it.

    `on_failure` is called while others still run, so that it can end what they wait for.
    """
    done = {task.name: threading.Event() for task in tasks}
    failed = threading.Event()

    def run(task: Task) -> None:
        _await(done[need] for need in task.needs if need in done)
        try:
            if not failed.is_set():
                task.run()
        except BaseException:
            failed.set()
            raise
        finally:
            done[task.name].set()

    with ThreadPoolExecutor(max(1, len(tasks))) as pool:
        try:
            for finished in as_completed([pool.submit(run, task) for task in tasks]):
                finished.result()
        except BaseException:
            failed.set()
            on_failure()
            raise


def _await(events: Iterable[threading.Event]) -> None:
    for event in events:
        event.wait()
