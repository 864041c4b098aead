"""The parent's hold on the model's process: start it, give it a batch, end it.

In: batches. Out: futures of what the child answers; ChildDied when it is gone.
One thread a child does the talking, so that the caller never blocks on the pipe. `start` and `keep_spare` must be
called from the main thread: the kernel ends the child with the thread that made it.
A spare process, started and without a model, makes the way back from a crash as short as loading the model.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import NamedTuple, TypeVar

from runtime.settings import Speech
from schemas.values import Task
from streams.speech.engines.protocol import EngineUnavailable
from streams.speech.messages import Batch, Done, Loaded, Start, Unloadable

EXIT_WAIT_S = 10.0
_T = TypeVar("_T")


class ChildDied(Exception):
    """The model's process ended without an answer; the message says how."""


class _Child(NamedTuple):
    """A process that waits for `Start`."""

    process: "subprocess.Popen[bytes]"
    pipe: Connection


def _child() -> _Child:
    ours, theirs = Pipe()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "streams.speech.child", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            # A signal to the worker's group must not end the batch that the worker is about to finish.
            start_new_session=True,
        )
    return _Child(process, ours)


class Model:
    """One process at a time; after it died, `start` makes the next."""

    def __init__(self, task: Task, speech: Speech, log_level: str, done: Callable[[], None]) -> None:
        self._task = task
        self._speech = speech
        self._log_level = log_level
        self._done = done
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._talk: ThreadPoolExecutor | None = None
        self._spare: _Child | None = None

    @property
    def pid(self) -> int:
        """Process id of the child, for logs and tests."""
        return self._process.pid if self._process else 0

    def start(self) -> Future[Loaded]:
        """Takes a fresh interpreter; the future raises EngineUnavailable or ChildDied when it cannot serve."""
        self._end()
        spare, self._spare = self._spare, None
        self._process, self._pipe = spare if spare is not None and spare.process.poll() is None else _child()
        self._talk = ThreadPoolExecutor(1, thread_name_prefix="model")
        return self._submit(self._load)

    def keep_spare(self) -> None:
        """Has a process at hand that only lacks the model."""
        if self._spare is None:
            self._spare = _child()

    def run(self, batch: Batch) -> Future[Done]:
        """The outcomes of a batch, soon; raises ChildDied through the future."""
        return self._submit(lambda: self._answer(batch))

    def kill(self) -> None:
        """Ends the process at once; the future of its batch raises ChildDied."""
        if self._process:
            self._process.kill()

    def close(self) -> None:
        """Ends the process and the spare one."""
        self._end()
        if self._spare is not None:
            self._spare.process.kill()
            self._spare.process.wait(EXIT_WAIT_S)
            self._spare.pipe.close()
        self._spare = None

    def _end(self) -> None:
        self.kill()
        if self._process:
            self._process.wait(EXIT_WAIT_S)
        if self._talk:
            self._talk.shutdown(wait=True)
        if self._pipe:
            self._pipe.close()
        self._process = self._pipe = self._talk = None

    def _load(self) -> Loaded:
        hello = Start(task=self._task, speech=self._speech, log_level=self._log_level, parent=os.getpid())
        answer = self._exchange(hello)
        if isinstance(answer, Unloadable):
            raise EngineUnavailable(answer.message)
        if not isinstance(answer, Loaded):
            raise ChildDied(f"it answered {type(answer).__name__} to its start")
        return answer

    def _answer(self, batch: Batch) -> Done:
        answer = self._exchange(batch)
        if not isinstance(answer, Done):
            raise ChildDied(f"it answered {type(answer).__name__} to a batch")
        return answer

    def _exchange(self, message: Start | Batch) -> object:
        pipe, process = self._pipe, self._process
        if pipe is None or process is None:
            raise ChildDied("it was not started")
        try:
            pipe.send(message)
            answer: object = pipe.recv()
        except (EOFError, OSError) as error:
            status = process.wait(EXIT_WAIT_S)
            raise ChildDied(f"exit status {status}") from error
        return answer

    def _submit(self, work: Callable[[], _T]) -> Future[_T]:
        if self._talk is None:
            raise ChildDied("it was not started")
        future = self._talk.submit(work)
        future.add_done_callback(lambda _: self._done())
        return future
