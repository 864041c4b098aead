"""A running system with orders to crash, watched over as a supervisor does, and what each cell does there.

In: a workspace, cells. Out: what went wrong in each cell, and in the log at the end.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg

from api.accounts.keys import create_key
from local.processes import PROCESSES
from runtime.faults import FIRED
from runtime.settings import Settings
from schemas.identity import job_id_for
from tests.chaos.crash_points.caller import LONG_BYTES, Caller, Server
from tests.chaos.crash_points.journeys import JOURNEYS
from tests.chaos.crash_points.matrix import CHUNKERS, LONG, SLOW, STARTING, WITHOUT_INDEX, Cell
from tests.chaos.crash_points.outcome import Facts, Outcome, Outcomes, dead_letters
from tests.chaos.crash_points.sweeping import SWEEPING
from tests.deadline import until
from tests.e2e.processes import Processes

TENANT = "court"
WATCH_S = 0.3
FIRED_S = 150.0
SAME_S = 180.0
SETTLED_S = 5.0
AT_ONCE = 8
SAID_EVERY = 10
# Keys of these are on the dead-letter topic in the end, put there by these groups.
DEAD = {
    "garbage": ("chunker", "assembler"),
    "poisoned": ("chunker",),
    "crashing_asr": ("speech-asr",),
    "crashing_diarization": ("speech-diarization",),
}


class Supervised:
    """Processes that are started again when they end."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._lock = threading.Lock()
        self._over = threading.Event()
        self.restarts = 0

    @property
    def url(self) -> str:
        return self._processes.api_url

    def start(self, *names: str) -> None:
        """Starts processes and waits until they are ready."""
        with self._lock:
            self._processes.start(*names)
            self._processes.wait_ready(*names)

    def restart(self, name: str) -> None:
        """kill -9, and up again."""
        with self._lock:
            self._processes.kill_and_restart(name)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Starts again whatever ends, until the block ends; then stops everything."""
        watcher = threading.Thread(target=self._watch, name="supervisor")
        watcher.start()
        try:
            yield
        finally:
            self._over.set()
            watcher.join()
            self._processes.stop()

    def _watch(self) -> None:
        while not self._over.wait(WATCH_S):
            with self._lock:
                self.restarts += len(self._processes.restart_ended())


@dataclass(slots=True, kw_only=True)
class Report:
    """What a run found."""

    cells: int = 0
    fired: int = 0
    jobs: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A job that a journey made."""

    job_id: str
    key: str
    journey: str
    long: bool


class Harness:
    """Runs cells, several at a time but never two of one process."""

    def __init__(self, settings: Settings, supervised: Supervised, orders: Path) -> None:
        self._settings = settings
        self._supervised = supervised
        self._orders = orders
        self._outcomes = Outcomes(settings)
        key = create_key(settings.postgres_dsn, TENANT, "test")
        server = Server(url=supervised.url, tenant_id=TENANT, settings=settings, restart=supervised.restart)
        self._callers = {long: Caller(server, key, LONG_BYTES if long else 0) for long in (False, True)}
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)
        self._baseline: dict[tuple[str, bool], Outcome] = {}
        self._first: dict[tuple[str, bool], str] = {}
        self._made: list[Made] = []
        self.report = Report()

    def close(self) -> None:
        """Closes the connections."""
        self._outcomes.close()

    def without_faults(self, kinds: Iterable[tuple[str, bool]]) -> None:
        """Makes each journey once and keeps what came of it; alone where it takes a process from the others."""
        wanted = sorted(set(kinds))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            together = [kind for kind in wanted if kind[0] not in SWEEPING]
            list(pool.map(lambda kind: self._once_without_faults(*kind), together))
        for kind in wanted:
            if kind not in together:
                self._once_without_faults(*kind)

    def run(self, cells: Sequence[Cell]) -> None:
        """Every cell; what goes wrong is in the report. Says how far it is."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for done, _ in enumerate(pool.map(self._noted, cells), 1):
                if not done % SAID_EVERY:
                    print(f"{done} of {len(cells)} cells, {len(self.report.failures)} failures", flush=True)

    def without_index(self, cells: Iterable[Cell]) -> None:
        """Cells of a projector that finds no index: one after the other, before there is anything to find."""
        index = f"{self._settings.opensearch.url}/{self._settings.opensearch.index_prefix}segments"
        for cell in cells:
            assert cell.effect in WITHOUT_INDEX
            self.report.cells += 1
            until(lambda: httpx.get(index).is_success, FIRED_S, "there is an index")
            httpx.delete(f"{index}_v1").raise_for_status()
            httpx.put(f"{index}_v9").raise_for_status()
            self._order(cell.order)
            self._supervised.restart(cell.process)
            self._await_fired(cell)
            until(lambda: httpx.get(index).is_success, FIRED_S, f"{cell.order}: there is an index again, and its alias")
            until(lambda: not httpx.get(f"{index}_v9").is_success, FIRED_S, f"{cell.order}: nobody's index is gone")

    def start_long(self) -> None:
        """From now on somebody reads the long uploads."""
        self._supervised.start(LONG)

    @property
    def restarts(self) -> int:
        """How often a process was started again because it had ended."""
        return self._supervised.restarts

    def verify_log(self) -> None:
        """Everything that only the whole log can tell, when all is quiet."""
        until(self._quiet, SAME_S, "I24: nothing is left to do")
        facts, report = Facts(self._settings), self.report
        report.failures += facts.violations
        report.jobs = len(facts.of_job)
        made = {item.job_id for item in self._made if item.job_id}
        if set(facts.of_job) != made:
            report.failures.append(f"I1: jobs in the log but not asked for, or the reverse: {set(facts.of_job) ^ made}")
        for item in self._made:
            want = facts.normal(self._first[item.journey, item.long])
            if item.job_id and (got := facts.normal(item.job_id)) != want:
                report.failures.append(f"I11: facts of {item.key}: more {got - want}, less {want - got}")
        self._verify_dead_letters()

    def _verify_dead_letters(self) -> None:
        wanted = set()
        for item in self._made:
            for name in DEAD.get(item.journey, ()):
                group = self._settings.kafka.group(LONG if name == "chunker" and item.long else name)
                wanted.add((item.job_id or item.key, group))
        found = {(key.partition("/")[0], group) for key, group in dead_letters(self._settings)}
        if found != wanted:
            self.report.failures.append(f"I8: dead letters, too many or too few: {found ^ wanted}")

    def _once_without_faults(self, journey: str, long: bool) -> None:
        item = self._make(journey, f"faultless-{journey}-{long}", long)
        self._first[journey, long] = item.job_id
        if item.job_id:
            self._baseline[journey, long] = self._settled(item.job_id)

    def _settled(self, job_id: str) -> Outcome:
        """The views of a job when they have not changed for a while and nothing waits."""
        seen, since = self._outcomes.views(TENANT, job_id), time.monotonic()

        def probe() -> bool:
            nonlocal seen, since
            now = self._outcomes.views(TENANT, job_id)
            if now != seen or now["search_pending"]:
                seen, since = now, time.monotonic()
            return time.monotonic() - since > SETTLED_S

        until(probe, SAME_S, f"the views of {job_id} settle")
        return seen

    def _noted(self, cell: Cell) -> None:
        self.report.cells += 1
        try:
            self._cell(cell)
        except Exception as error:
            self.report.failures.append(f"{cell.order} ({cell.journey}): {type(error).__name__}: {error}")

    def _cell(self, cell: Cell) -> None:
        with ThreadPoolExecutor(1) as pool:
            with self._locks[cell.process]:
                for order in (cell.first, cell.order):
                    self._order(order)
                if cell.effect in STARTING:
                    self._supervised.restart(cell.process)
                making = pool.submit(self._make, cell.journey, cell.order.replace(":", "-"), cell.long)
                self._await_fired(cell)
                if cell.process in CHUNKERS or cell.journey == SLOW:
                    # In hand at the faults of three cells, an innocent upload would count as poison; and one that takes
                    # its time would begin anew at each fault of another cell, a lease of its key later.
                    making.result()
            item = making.result()
        if item.job_id:
            self._await_same(item)

    def _make(self, journey: str, key: str, long: bool) -> Made:
        if journey != "garbage":  # known before it is made, so that one that fails half-way is not taken for a stranger
            self._made.append(Made(job_id=job_id_for(TENANT, key), key=key, journey=journey, long=long))
        job_id = JOURNEYS[journey](self._callers[long], key)
        item = Made(job_id=job_id, key=key, journey=journey, long=long)
        if not job_id:
            self._made.append(item)
        assert job_id in ("", job_id_for(TENANT, key)), "I1: one key, one job"
        return item

    def _order(self, order: str) -> None:
        if order:
            (self._orders / order).touch()

    def _await_fired(self, cell: Cell) -> None:
        done = self._orders / (cell.order + FIRED)
        try:
            until(done.exists, FIRED_S, f"{cell.order} fires")
            self.report.fired += 1
        finally:
            for order in filter(None, (cell.first, cell.order)):
                for name in (order, order + FIRED):
                    with suppress(FileNotFoundError):
                        (self._orders / name).unlink()

    def _await_same(self, item: Made) -> None:
        """I15, I16, I17, I21: rows, documents and objects of the job are in the end what they are without a fault."""
        want = self._baseline[item.journey, item.long]
        seen: Outcome = {}

        def probe() -> bool:
            nonlocal seen
            seen = self._outcomes.views(TENANT, item.job_id)
            return seen == want

        try:
            until(probe, SAME_S, "the views are those without a fault")
        except AssertionError as error:
            different = {name: (seen.get(name), want[name]) for name in want if seen.get(name) != want[name]}
            raise AssertionError(f"{error}: {different}") from None

    def _quiet(self) -> bool:
        counts = ("assembler_outbox", "assembler_parked", "search_pending", "accepted_requests")
        with psycopg.connect(self._settings.postgres_dsn) as conn:
            left = [conn.execute(f"SELECT count(*) FROM {table}".encode()).fetchone() for table in counts]
        return all(row == (0,) for row in left)


def ordinary() -> list[str]:
    """The processes that every cell but those of the long uploads needs."""
    return [name for name in PROCESSES if name != LONG]
