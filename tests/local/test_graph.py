"""Tasks run once what they need is done, and a failure ends the whole."""

import threading

import pytest

from local.graph import Task, run_all


def _nothing() -> None:
    pass


def test_needs_are_done_first() -> None:
    done: list[str] = []
    tasks = [
        Task(name="api", run=lambda: done.append("api"), needs=("tables", "kafka")),
        Task(name="tables", run=lambda: done.append("tables"), needs=("postgres",)),
        Task(name="postgres", run=lambda: done.append("postgres")),
    ]
    run_all(tasks, on_failure=_nothing)
    assert done == ["postgres", "tables", "api"]


def test_tasks_without_needs_run_side_by_side() -> None:
    both_are_running = threading.Barrier(2, timeout=10)

    def meet() -> None:
        both_are_running.wait()

    run_all([Task(name=name, run=meet) for name in "ab"], on_failure=_nothing)


def test_the_first_failure_is_raised_and_what_needs_it_never_runs() -> None:
    stopped: list[bool] = []
    released = threading.Event()

    def stop() -> None:
        stopped.append(True)
        released.set()

    def wait_for_its_end() -> None:
        released.wait(10)

    def fail() -> None:
        raise ValueError("kafka did not start")

    tasks = [
        Task(name="kafka", run=fail),
        Task(name="projector", run=lambda: stopped.append(False), needs=("kafka",)),
        # Like an engine that is waited for until the stop ends it.
        Task(name="registry", run=wait_for_its_end),
    ]
    with pytest.raises(ValueError, match="kafka did not start"):
        run_all(tasks, on_failure=stop)
    assert stopped == [True]
