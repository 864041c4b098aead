"""One chaos run, from an empty home to a verdict.

In: seed, length, jobs, a home and ports. Out: a result, with everything it rests on in the run's folder.
Load and nemesis together, then everything killed at once, then quiet, then some recordings calmly, then the checker.
"""

import os
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path

from local import supervisor
from schemas.identity import job_id_for
from tests.chaos.checker.verdict import Violation, check
from tests.chaos.disturb import Disturber
from tests.chaos.load import Load
from tests.chaos.nemesis import Deeds, Nemesis
from tests.chaos.plan import ENGINES, OURS, Plan, Script, Upload
from tests.chaos.quiet import moving
from tests.chaos.signs import POISON, Deed, Seen, seen, unseen
from tests.chaos.told import Notebook, Told
from tests.chaos.watch import Watch
from tests.chaos.world import World

QUIET_LIMIT_S = 600.0
# I30. A run that misses it says so; its exit status stays, because the machine may have been too slow for anybody.
QUIET_GOAL_S = 60.0
CALM_JOBS = 60
CALM_LIMIT_S = 420.0
POLL_S = 0.5
# What is planned on these jobs makes a second copy of their records mean something else.
LEFT_ALONE = (Script.DELETE, Script.CRASH, Script.HANG)
REPEATED = (Script.PLAIN, Script.TWINS, Script.NAME, Script.FEEDBACK, Script.CORRECT, Script.RUBBISH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a run happens: its stack's home and ports, and the folder of its results."""

    home: Path
    port_base: int
    folder: Path
    overrides: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a run showed."""

    plan: Plan
    deeds: Deeds
    disturbed: Mapping[str, int]
    told: Mapping[str, int]
    acknowledged: int
    quiet_s: float | None
    still_moving: list[str]
    seen: list[Seen]
    load_average: float
    wall_s: float
    violations: list[Violation]

    @property
    def goal_missed(self) -> bool:
        """Whether rest came later than it should."""
        return self.quiet_s is None or self.quiet_s > QUIET_GOAL_S


def run(plan: Plan, place: Place, say: Callable[[str], None]) -> Result:
    """The whole run; the stack is gone afterwards, whatever happens."""
    shutil.rmtree(place.folder, ignore_errors=True)
    place.folder.mkdir(parents=True)
    world = World(place.home, place.port_base, place.overrides)
    try:
        say("starting the stack")
        world.begin()
        for disk in world.disks.values():
            if disk.refused:
                say(f"the disk {disk.name} will not be filled: {disk.refused}")
        return _Run(plan, place.folder, world, say).result()
    finally:
        world.end(place.folder / "logs")


def acknowledged(lines: Iterable[Told]) -> int:
    """How many recordings were taken in; two clients with one key hand in one."""
    return len({(t.tenant, t.key) for t in lines if t.operation == "upload" and t.outcome == "pending"})


def drawn(plan: Plan, acknowledged: Set[int]) -> list[Upload]:
    """The uploads that are repeated calmly, from the whole run alike."""
    able = [upload for upload in plan.uploads if upload.script in REPEATED and upload.number in acknowledged]
    return random.Random(plan.seed).sample(able, min(CALM_JOBS, len(able)))


class _Run:
    """A run on a stack that is up."""

    def __init__(self, plan: Plan, folder: Path, world: World, say: Callable[[str], None]) -> None:
        self._plan, self._folder, self._world, self._say = plan, folder, world, say
        world.write_addresses(folder)
        shared = world.shared_settings()
        self._notebook = Notebook(folder)
        self._load = Load(world.api_url, world.keys, plan.seed, self._notebook)
        self._nemesis = Nemesis(world, plan.faults)
        self._watch = Watch(world, folder)
        self._disturber = Disturber(
            shared["PALIMPSEST_KAFKA_BOOTSTRAP"],
            plan.seed,
            int(shared["PALIMPSEST_PARTITIONS"]),
            folder,
            {
                job_id_for(upload.tenant, self._load.key(upload.number))
                for upload in plan.uploads
                if upload.script in LEFT_ALONE
            },
        )
        self._begun_s = time.monotonic()

    def result(self) -> Result:
        """Everything, in order."""
        try:
            quiet_s, still = self._chaos()
            self._calm()
            load_average = os.getloadavg()[0]
        finally:
            self._load.close()
            self._watch.stop()
            self._notebook.close()
        self._say("checking")
        kinds = self._seen()
        violations = [*self._own(still), *unseen(kinds), *check(self._folder)]
        return Result(
            plan=self._plan,
            deeds=self._nemesis.deeds,
            disturbed=dict(self._disturber.counts),
            told=self._counts(),
            acknowledged=acknowledged(self._notebook.lines),
            quiet_s=quiet_s,
            still_moving=still,
            seen=kinds,
            load_average=load_average,
            wall_s=time.monotonic() - self._begun_s,
            violations=violations,
        )

    def _chaos(self) -> tuple[float | None, list[str]]:
        """Load and faults until the end, everything killed at once, and the seconds from then until all was quiet."""
        self._say(f"{len(self._plan.uploads)} uploads, {len(self._plan.faults)} faults, {self._plan.minutes} minutes")
        self._watch.start()
        self._disturber.start()
        begun_s = time.monotonic()
        load = threading.Thread(target=self._load.run, args=(self._plan.uploads, begun_s), name="load")
        load.start()
        self._nemesis.run(begun_s, self._plan.minutes * 60)
        healed_s = self._nemesis.finish(self._plan.last)
        self._say("everything killed; waiting for quiet")
        self._disturber.stop()
        self._nemesis.await_recovery()
        self._revive()
        self._load.deadline_s = healed_s + QUIET_LIMIT_S
        still = self._until_quiet(healed_s, load)
        load.join()
        return (None if still else time.monotonic() - healed_s), still

    def _until_quiet(self, healed_s: float, load: threading.Thread) -> list[str]:
        while True:
            still = ["clients without a definite answer"] if load.is_alive() else moving(self._world)
            if not still or time.monotonic() - healed_s > QUIET_LIMIT_S:
                return still
            time.sleep(POLL_S)

    def _revive(self) -> None:
        """What the supervisor has given up needs a hand; that is counted."""
        for name in (*OURS, *ENGINES):
            if self._world.revive(name):
                self._nemesis.deeds.revived.append(name)

    def _calm(self) -> None:
        """The fault-free run of the same recordings; then the sweeps look at everything once more."""
        done = {told.number for told in self._notebook.lines if told.outcome == "pending"}
        again = drawn(self._plan, done)
        self._say(f"quiet; {len(again)} recordings once more without faults")
        self._load.deadline_s = time.monotonic() + CALM_LIMIT_S
        self._load.repeat_calmly(again)
        supervisor.stop_programs(self._world.layout, ["effects"])
        supervisor.start_program(self._world.layout, "effects")
        deadline_s = time.monotonic() + CALM_LIMIT_S
        while moving(self._world) and time.monotonic() < deadline_s:
            time.sleep(POLL_S)

    def _seen(self) -> list[Seen]:
        """What told of each kind of fault; poison is written all the time and read some time."""
        deeds = [*self._nemesis.deeds.log]
        if self._disturber.counts[POISON]:
            deeds.append(Deed(target="records", kind=POISON, begun_s=self._begun_s, ended_s=time.monotonic()))
        return [*seen(deeds, self._watch.samples)]

    def _own(self, still: list[str]) -> list[Violation]:
        """What only the run itself can know."""
        found = [Violation(invariant="I24", subject="quiet", text=f"never came to rest: {line}") for line in still]
        found += [
            Violation(invariant="I30", subject=name, text="was given up by its supervisor and needed a hand")
            for name in self._nemesis.deeds.revived
        ]
        found += [
            Violation(invariant="I30", subject=r.target, text=f"did not come back after {r.kind}")
            for r in self._nemesis.deeds.recoveries
            if r.seconds is None
        ]
        found += [Violation(invariant="I1", subject="api", text=f"answered {line}") for line in self._load.broken]
        errors = [*self._load.errors, *self._nemesis.errors]
        return found + [Violation(invariant="harness", subject="harness", text=line) for line in errors]

    def _counts(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for told in self._notebook.lines:
            name = f"{told.operation} {told.outcome}"
            counts[name] = counts.get(name, 0) + 1
        return counts
