"""The parent's side of assembling: one warm child process, one task at a time.

In: tasks, as many as there is room for. Out: what became of them, asked for by `poll`, which never blocks.
A task that kills its child, or takes far too long for its audio, is tried again with a fresh one when the others had
their turn, at most three times. A store that is away costs no try, nor does one that hangs: the time for the audio
begins when all that the task needs was fetched.
A child that ends before it can serve raises ChildUnstartable: the supervisor sees that nothing can be assembled here.
"""

import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection as Pipe
from multiprocessing.process import BaseProcess

from runtime import telemetry
from runtime.settings import Settings
from streams.assembler import child
from streams.assembler.assembly import AssemblyTask
from streams.assembler.child import Fetched, Hopeless, Made, NotNow, Outcome
from streams.assembler.completion import AssemblyFinished, AssemblyGivenUp

MAX_TRIES = 3
# The other orders wait in the database, where they are anyway.
MAX_WAITING = 100
# What a task may take: a floor, so that one that hangs holds up the others for seconds, and many times what clustering
# and joining an hour of speech takes, each time more; never more than the most.
LIMIT_FLOOR_S = 6.0
LIMIT_S_PER_AUDIO_S = 0.02
PATIENCE = 4.0
LONGEST_LIMIT_S = 1_800.0
PAUSE_S = 1.0  # before a task is tried again whose store was away
# What fetching may take: more than a store's silence is waited for, and a second for each piece.
FETCH_LIMIT_S = 60.0

log = telemetry.logger(__name__)
Target = Callable[[Pipe, Settings], None]


class ChildUnstartable(Exception):
    """The child ended before it took a task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What became of a task, and whose partition it is about."""

    partition: int
    input: AssemblyFinished | AssemblyGivenUp


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    task: AssemblyTask
    tries: int = 1
    not_before_s: float = 0.0


class Workshop:
    """Owns the child; every method is called from one thread."""

    def __init__(self, settings: Settings, target: Target = child.main) -> None:
        self._settings = settings
        self._target = target
        self._waiting: deque[_Job] = deque()
        self._current: _Job | None = None
        self._deadline_s = 0.0
        self._fetching = False
        self._ready = False
        self._start()

    @property
    def wanted(self) -> int:
        """How many of the oldest orders it should be shown again, now that there is room; 0 while it has enough."""
        return MAX_WAITING if len(self._waiting) <= MAX_WAITING // 2 else 0

    def submit(self, task: AssemblyTask) -> bool:
        """Queues a task, unless the same is here already; False where there is no room for it."""
        known = [*self._waiting, *([self._current] if self._current else [])]
        if not any((job.task.job_id, job.task.order) == (task.job_id, task.order) for job in known):
            if len(self._waiting) >= MAX_WAITING:
                return False
            self._waiting.append(_Job(task=task))
        self._hand_over()
        return True

    def keep_only(self, partitions: frozenset[int]) -> None:
        """Forgets what waits for partitions that are no longer ours."""
        self._waiting = deque(job for job in self._waiting if job.task.partition in partitions)

    def poll(self) -> Iterator[Finished]:
        """What is done since the last call."""
        if (found := self._take()) is not None:
            yield found
        self._hand_over()

    def close(self) -> None:
        """Ends the child at once; what it was doing is done again by whoever comes next."""
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(
            target=self._target, args=(theirs, self._settings), name="assembly", daemon=True
        )
        self._process.start()
        theirs.close()
        self._ready = False

    def _take(self) -> Finished | None:
        try:
            if not self._pipe.poll():
                return self._overdue()
            said: Outcome | Fetched | None = self._pipe.recv()
        except (EOFError, OSError):
            return self._crashed("exit")
        match said:
            case None:
                self._ready = True
                return None
            case Fetched():
                self._computes()
                return self._take()  # a short recording may be done already
        job, self._current = self._current, None
        return None if job is None else self._judge(job, said)

    def _computes(self) -> None:
        if self._current is not None:
            self._fetching = False
            self._deadline_s = time.monotonic() + limit_s(self._current.task, self._current.tries)

    def _judge(self, job: _Job, outcome: Outcome) -> Finished | None:
        match outcome:
            case Made(finished=finished):
                return Finished(partition=job.task.partition, input=finished)
            case Hopeless(message=message):
                return _given_up(job.task, message)
            case NotNow(message=message):
                self._wait(job, message)
                return None

    def _wait(self, job: _Job, why: str) -> None:
        log.warning("an assembly waits for a store", action="assembly.wait", why=why)
        self._waiting.append(replace(job, not_before_s=time.monotonic() + PAUSE_S))

    def _overdue(self) -> Finished | None:
        if self._current is None or time.monotonic() < self._deadline_s:
            return None
        return self._crashed("timeout")

    def _crashed(self, cause: str) -> Finished | None:
        telemetry.child_restarts.labels(f"assembly-{cause}").inc()
        log.error("the assembling process ended", action="assembly.crashed", cause=cause, job_id=self._job_id())
        self.close()
        if not self._ready:
            raise ChildUnstartable("the assembling process ended before it took a task")
        self._start()
        job, self._current = self._current, None
        if job is None:
            return None
        if self._fetching and cause == "timeout":
            self._wait(job, f"what it needs was not there after {FETCH_LIMIT_S:g} s and more")
            return None
        if job.tries >= MAX_TRIES:
            return _given_up(job.task, "The transcript could not be assembled.")
        telemetry.repeated_tries.labels("assembly").inc()
        self._waiting.append(replace(job, tries=job.tries + 1))
        return None

    def _job_id(self) -> str | None:
        return self._current.task.job_id if self._current else None

    def _hand_over(self) -> None:
        if self._current is not None or not self._ready:
            return
        now_s = time.monotonic()
        due = next((job for job in self._waiting if job.not_before_s <= now_s), None)
        if due is None:
            return
        self._waiting.remove(due)
        self._current = due
        self._fetching = True
        self._deadline_s = now_s + FETCH_LIMIT_S + len(due.task.words) + len(due.task.evidence)
        try:
            self._pipe.send(due.task)
        except OSError:
            log.warning("the assembling process does not listen", action="assembly.deaf")  # `poll` finds it ended


def limit_s(task: AssemblyTask, tries: int) -> float:
    """How long the task may compute at this try, the first of which is 1."""
    audio_s = sum(chunk.end_ms - chunk.start_ms for chunk in (*task.words, *task.evidence)) / 1000
    return min(LONGEST_LIMIT_S, LIMIT_FLOOR_S + LIMIT_S_PER_AUDIO_S * audio_s * PATIENCE ** (tries - 1))


def _given_up(task: AssemblyTask, message: str) -> Finished:
    gave_up = AssemblyGivenUp(job_id=task.job_id, tenant_id=task.tenant_id, order=task.order, message=message)
    return Finished(partition=task.partition, input=gave_up)
