"""Where a fault showed: which metric, or which line of `palimpsest status`, told of each kind of fault that was done.

In: what was done and when, and what processes and supervisor said meanwhile. Out: for each kind how often it was done
and what told of it. Pure. What should tell of what is the table of alerts in docs/operating.md; a test compares them.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.chaos.checker.violation import Violation
from tests.chaos.plan import ENGINES, Kind

POISON = "poison"
STATUS = "palimpsest status"
START = "process_start_time_seconds"
UP = "up"
ENGINE_UP = "palimpsest_engine_up"
REFUSED = "palimpsest_uploads_refused_total"
FENCED = "palimpsest_fenced_writes_total"
DISK_FREE = "palimpsest_disk_free_ratio"
DEAD = "palimpsest_dead_letters_total"
# What the API calls the engines.
ENGINE_LABELS = {"s3": "objects", "opensearch": "search"}
FULL_RATIO = 0.03
# A restart shows when the process answers again; counters are read some time after they moved.
AFTER_S = 30.0
# The API asks each engine every 5 s and waits for 2: what is shorter may show nowhere.
VISIBLE_PAUSE_S = 7.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """A fault that was done, and from when to when it lasted."""

    target: str
    kind: str
    begun_s: float
    ended_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What everybody said at one time: metrics of each process that answered, by name or `name/label`; restarts."""

    at_s: float
    metrics: Mapping[str, Mapping[str, float]]
    restarts: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A kind of fault: how often it was done so that it must show, and how often which sign told of it."""

    kind: str
    done: int
    told: Mapping[str, int]


Check = Callable[[Sequence[Sample], str], bool]


def _silent(samples: Sequence[Sample], target: str) -> bool:
    return any(target not in sample.metrics for sample in samples)


def _started_anew(samples: Sequence[Sample], target: str) -> bool:
    return len({found[START] for s in samples if START in (found := s.metrics.get(target, {}))}) > 1


def _restarted(samples: Sequence[Sample], target: str) -> bool:
    return len({sample.restarts.get(target, 0) for sample in samples}) > 1


def _engine_away(samples: Sequence[Sample], target: str) -> bool:
    name = f"{ENGINE_UP}/{ENGINE_LABELS.get(target, target)}"
    return any(sample.metrics.get("api", {}).get(name) == 0 for sample in samples)


def _disk_full(samples: Sequence[Sample], _: str) -> bool:
    said = (found for sample in samples for found in sample.metrics.values())
    return any(value < FULL_RATIO for found in said for name, value in found.items() if name.startswith(DISK_FREE))


def _rises(metric: str) -> Check:
    """Whether a counter of any process goes up; one that is lower than before began anew."""

    def check(samples: Sequence[Sample], _: str) -> bool:
        for before, after in pairwise(samples):
            for process in before.metrics.keys() & after.metrics.keys():
                was, now = (_sum(sample.metrics[process], metric) for sample in (before, after))
                if now > (was if now >= was else 0):
                    return True
        return False

    return check


def _sum(said: Mapping[str, float], metric: str) -> float:
    return sum(value for name, value in said.items() if name.partition("/")[0] == metric)


_ENDED: Mapping[str, Check] = {START: _started_anew, UP: _silent}
_AWAY: Mapping[str, Check] = {ENGINE_UP: _engine_away, REFUSED: _rises(REFUSED)}
# For each kind of fault the signs that may tell of it. Of engines killed with all of us nobody is there to tell.
SIGNS: Mapping[str, Mapping[str, Check]] = {
    Kind.KILL: _ENDED,
    Kind.KILL_FAMILY: _ENDED,
    Kind.RESTART: _ENDED,
    Kind.KILL_ALL: _ENDED,
    Kind.PAUSE: {UP: _silent, FENCED: _rises(FENCED), START: _started_anew},
    f"engine {Kind.KILL}": {**_AWAY, STATUS: _restarted},
    f"engine {Kind.PAUSE}": _AWAY,
    Kind.FILL: {DISK_FREE: _disk_full},
    POISON: {DEAD: _rises(DEAD)},
}
METRICS = frozenset({START, ENGINE_UP, REFUSED, FENCED, DISK_FREE, DEAD})


def seen(deeds: Sequence[Deed], samples: Sequence[Sample]) -> Iterator[Seen]:
    """What told of each kind of fault that was done."""
    must_show = [deed for deed in deeds if not _too_short(deed)]
    for kind, signs in SIGNS.items():
        told: Counter[str] = Counter()
        done = [deed for deed in must_show if _kind(deed) == kind]
        for deed in done:
            meanwhile = _during(samples, deed)
            told.update(name for name, check in signs.items() if check(meanwhile, deed.target))
        if done:
            yield Seen(kind=kind, done=len(done), told=told)


def unseen(kinds: Iterable[Seen]) -> Iterator[Violation]:
    """The kinds of which nothing told at all."""
    for kind in kinds:
        if not kind.told:
            text = f"was done {kind.done} times and showed in no metric"
            yield Violation(invariant="metrics", subject=kind.kind, text=text)


def _kind(deed: Deed) -> str:
    return f"engine {deed.kind}" if deed.target in ENGINES else deed.kind


def _too_short(deed: Deed) -> bool:
    return deed.kind == Kind.PAUSE and deed.ended_s - deed.begun_s < VISIBLE_PAUSE_S


def _during(samples: Sequence[Sample], deed: Deed) -> list[Sample]:
    """From the last sample before the deed to some time after it."""
    before = [sample for sample in samples if sample.at_s < deed.begun_s][-1:]
    return before + [sample for sample in samples if deed.begun_s <= sample.at_s <= deed.ended_s + AFTER_S]
