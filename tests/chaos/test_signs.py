"""A kind of fault counts as seen when a sign of it shows in its time, and only then."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.chaos.plan import OURS, Kind
from tests.chaos.signs import DEAD, DISK_FREE, ENGINE_UP, POISON, SIGNS, START, STATUS, UP, Deed, Sample, seen, unseen

PAGE = (Path(__file__).parents[2] / "docs" / "operating.md").read_text(encoding="utf-8")
Metrics = Mapping[str, Mapping[str, float]]


def deed(target: str, kind: str, ended_s: float = 12.0) -> Deed:
    return Deed(target=target, kind=kind, begun_s=2.0, ended_s=ended_s)


def samples(*said: Metrics, restarts: tuple[int, int] = (0, 0)) -> list[Sample]:
    """One a second, each of which says these things of some process and nothing of the others."""
    quiet = {name: {START: 1.0} for name in OURS}
    before, after = restarts
    return [
        Sample(at_s=float(n), metrics={**quiet, **found}, restarts={"postgres": after if n > 2 else before})
        for n, found in enumerate(said)
    ]


def without(name: str) -> list[Sample]:
    """A second in which a process does not answer."""
    return [
        Sample(
            at_s=s.at_s,
            metrics={n: m for n, m in s.metrics.items() if n != name or s.at_s != 3},
            restarts=s.restarts,
        )
        for s in samples({}, {}, {}, {}, {})
    ]


@pytest.mark.parametrize(
    ("done", "said", "told"),
    [
        (deed("api", Kind.KILL), samples({}, {}, {}, {"api": {START: 9.0}}), {START: 1}),
        (deed("api", Kind.KILL), samples({}, {}, {}, {"assembler": {START: 9.0}}), {}),
        (deed("api", Kind.PAUSE), without("api"), {UP: 1}),
        (deed("api", Kind.PAUSE), without("effects"), {}),
        (deed("s3", Kind.KILL), samples({}, {}, {}, {"api": {f"{ENGINE_UP}/objects": 0.0}}), {ENGINE_UP: 1}),
        (deed("s3", Kind.KILL), samples({}, {}, {}, {"api": {f"{ENGINE_UP}/search": 0.0}}), {}),
        (deed("postgres", Kind.KILL), samples({}, {}, {}, {}, restarts=(1, 2)), {STATUS: 1}),
        (deed("s3 disk", Kind.FILL), samples({}, {}, {}, {"effects": {f"{DISK_FREE}/s3": 0.0}}), {DISK_FREE: 1}),
        (deed("s3 disk", Kind.FILL), samples({}, {}, {}, {"effects": {f"{DISK_FREE}/s3": 0.4}}), {}),
        (deed("records", POISON), samples({}, {}, {}, {"chunker": {f"{DEAD}/undecodable": 1.0}}), {DEAD: 1}),
        (deed("records", POISON), samples(*[{"chunker": {f"{DEAD}/poison": 1.0}}] * 4), {}),
    ],
)
def test_a_fault_is_seen_by_its_signs(done: Deed, said: list[Sample], told: Mapping[str, int]) -> None:
    [found] = seen([done], said)
    assert (found.done, dict(found.told)) == (1, told)
    assert [violation.subject for violation in unseen([found])] == ([] if told else [found.kind])


def test_what_showed_before_or_long_after_tells_nothing() -> None:
    early = [Sample(at_s=float(n), metrics={"effects": {f"{DISK_FREE}/s3": 0.0}}, restarts={}) for n in (0, 90)]
    calm = Sample(at_s=1.5, metrics={"effects": {f"{DISK_FREE}/s3": 0.4}}, restarts={})
    [found] = seen([deed("s3 disk", Kind.FILL)], [early[0], calm, early[1]])
    assert not found.told


def test_a_pause_that_is_too_short_for_anybody_need_not_show() -> None:
    assert [*seen([deed("kafka", Kind.PAUSE, ended_s=4.0)], samples({}, {}))] == []


def test_the_page_names_what_tells_of_each_fault() -> None:
    table = PAGE.partition("| fault | seen in | alert |")[2].partition("\n\n")[0]
    named = {name for row in table.splitlines() for name in re.findall(r"`([\w ]+)`", "|".join(row.split("|")[2:3]))}
    assert {sign for signs in SIGNS.values() for sign in signs} <= named
