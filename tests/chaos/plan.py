"""What happens in a chaos run: every fault and every upload, from one seed.

In: seed, length, number of jobs. Out: a plan; the same seed gives the same plan. Pure: no clock, no process.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

OURS = (
    "api",
    "chunker",
    "chunker-long",
    "speech-asr",
    "speech-diarization",
    "assembler",
    "projector",
    "effects",
)
ENGINES = ("kafka", "postgres", "opensearch", "s3", "registry")
TWINNED = ("assembler", "projector", "chunker", "chunker-long", "speech-asr", "speech-diarization", "effects")
DISKS = ("s3", "temporary")

FIRST_FAULT_S = 3.0
GAP_S = (3.0, 12.0)
# Beyond the session timeout of 6 s, so that another member takes over what the paused one holds.
PAUSE_S = (7.5, 14.0)
ENGINE_PAUSE_S = (2.0, 9.0)
FULL_S = (5.0, 12.0)
# Of the uploads that are sound; above 50 MB they go to the chunker of long ones, whatever there is to hear in them.
HEAVY_SHARE = 0.03
TENANTS = ("court", "clinic")


class Kind(StrEnum):
    """What is done to a process or a disk; the last, to all processes at once, is in no plan and ends every run."""

    KILL = "kill"
    KILL_FAMILY = "kill-family"
    PAUSE = "pause"
    RESTART = "restart"
    KILL_ALL = "kill-all"
    FILL = "fill"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault: when, to whom, what, for how long."""

    at_s: float
    target: str
    kind: Kind
    duration_s: float = 0.0


class Script(StrEnum):
    """What a client does with its upload."""

    PLAIN = "plain"
    TWINS = "twins"
    CANCEL = "cancel"
    DELETE = "delete"
    CORRECT = "correct"
    NAME = "name"
    FEEDBACK = "feedback"
    FAIL_AND_RETRY = "fail-and-retry"
    CRASH = "crash"
    HANG = "hang"
    RUBBISH = "rubbish"


# Out of 100 uploads. What makes a model process crash or hang costs everybody time, so there is little of it.
SHARES: dict[Script, int] = {
    Script.PLAIN: 34,
    Script.TWINS: 10,
    Script.CANCEL: 10,
    Script.DELETE: 9,
    Script.CORRECT: 14,
    Script.NAME: 6,
    Script.FEEDBACK: 5,
    Script.FAIL_AND_RETRY: 5,
    Script.RUBBISH: 3,
    Script.CRASH: 2,
    Script.HANG: 2,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One recording and what its client does with it; `number` is what its sound says, a `heavy` one is large."""

    number: int
    at_s: float
    tenant: str
    script: Script
    duration_s: float
    diarize: bool
    patience_s: float
    heavy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole run; `last` are those whom the last fault hits."""

    seed: int
    minutes: float
    faults: tuple[Fault, ...]
    uploads: tuple[Upload, ...]
    last: tuple[str, ...] = (*OURS, *ENGINES)


def plan(seed: int, minutes: float, jobs: int, targets: Sequence[str] = (*OURS, *ENGINES)) -> Plan:
    """The plan of a seed; uploads begin until the end, so that the last fault finds work under way."""
    faults, uploads = np.random.default_rng([seed, 1]), np.random.default_rng([seed, 2])
    planned = [*_uploads(uploads, minutes * 60, jobs)]
    return Plan(
        seed=seed,
        minutes=minutes,
        faults=tuple(_faults(faults, minutes * 60, targets)),
        uploads=tuple(_with_heavy(np.random.default_rng([seed, 5]), planned)),
    )


def _faults(random: np.random.Generator, length_s: float, targets: Sequence[str]) -> Iterator[Fault]:
    """From a shuffled deck that holds each target in fixed shares, so that a long run leaves nobody out."""
    at_s, cards = FIRST_FAULT_S, _decks(random, targets)
    while at_s < length_s - GAP_S[0]:
        target, kind = next(cards)
        yield Fault(at_s=round(at_s, 2), target=target, kind=kind, duration_s=_duration(random, target, kind))
        at_s += float(random.uniform(*GAP_S))


def _decks(random: np.random.Generator, targets: Sequence[str]) -> Iterator[tuple[str, Kind]]:
    deck = [card for target in targets for card in _cards(target)]
    deck += [(disk, Kind.FILL) for disk in DISKS]
    while True:
        for index in random.permutation(len(deck)):
            yield deck[int(index)]


def _cards(target: str) -> list[tuple[str, Kind]]:
    if target in ENGINES:
        return [(target, Kind.KILL), (target, Kind.PAUSE)]
    return [(target, kind) for kind in (Kind.KILL, Kind.KILL_FAMILY, Kind.PAUSE, Kind.RESTART)]


def _duration(random: np.random.Generator, target: str, kind: Kind) -> float:
    spans = {Kind.PAUSE: ENGINE_PAUSE_S if target in ENGINES else PAUSE_S, Kind.FILL: FULL_S}
    return round(float(random.uniform(*spans[kind])), 2) if kind in spans else 0.0


def _uploads(random: np.random.Generator, length_s: float, jobs: int) -> Iterator[Upload]:
    scripts = list(SHARES)
    weights = np.array([SHARES[script] for script in scripts], float)
    starts = np.sort(random.uniform(0, length_s, jobs))
    for number in range(jobs):
        yield Upload(
            number=number,
            at_s=round(float(starts[number]), 2),
            tenant=TENANTS[int(random.integers(len(TENANTS)))],
            script=scripts[int(random.choice(len(scripts), p=weights / weights.sum()))],
            duration_s=_audio_s(random),
            diarize=bool(random.random() < 0.8),
            patience_s=round(float(random.uniform(0, 4)), 2),
        )


def _with_heavy(random: np.random.Generator, uploads: Sequence[Upload]) -> Iterator[Upload]:
    """The same uploads, some of them heavy: one at least, in a run however short."""
    sound = [upload.number for upload in uploads if upload.script is not Script.RUBBISH]
    heavy = random.permutation(sound)[: max(1, round(HEAVY_SHARE * len(sound)))].tolist()
    return (replace(upload, heavy=upload.number in heavy) for upload in uploads)


def _audio_s(random: np.random.Generator) -> float:
    """Mostly one chunk or a few, now and then dozens."""
    low, high = ((2, 25), (35, 120), (180, 420))[int(random.choice(3, p=(0.66, 0.3, 0.04)))]
    return round(float(random.uniform(low, high)), 1)
