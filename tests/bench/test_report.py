"""Percentiles, verdicts and what is written down."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.report import Figure, percentile, table, write


def _figure(value: float, aim: float | None = None, *, at_least: bool = True) -> Figure:
    return Figure(group="g", name="n", value=value, unit="s", aim=aim, at_least=at_least)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0), (0.01, 1.0)])
def test_percentiles_of_a_hundred_are_the_ranks(share: float, expected: float) -> None:
    assert percentile([float(n) for n in range(100, 0, -1)], share) == expected


@given(st.lists(st.floats(0, 1e6), min_size=1), st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]))
def test_a_percentile_was_measured_and_has_its_share_below(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9


@pytest.mark.parametrize(
    ("figure", "reached"),
    [
        (_figure(2.0), None),
        (_figure(2.0, 1.0), True),
        (_figure(0.5, 1.0), False),
        (_figure(0.5, 1.0, at_least=False), True),
        (_figure(2.0, 1.0, at_least=False), False),
    ],
)
def test_an_aim_is_reached_from_its_good_side(figure: Figure, reached: bool | None) -> None:
    assert figure.reached is reached


def test_the_table_names_groups_once_and_missed_aims() -> None:
    text = table([_figure(2.0), _figure(0.5, 1.0)])
    assert text.splitlines().count("g") == 1
    assert "MISSED" in text


def test_the_file_says_where_it_was_measured(tmp_path: Path) -> None:
    target = write([_figure(2.0, 1.0)], tmp_path, datetime(2026, 1, 2, tzinfo=UTC))
    document = json.loads(target.read_text())
    assert document["machine"]["cores"] >= 1
    assert document["figures"][0] | {"reached": True} == document["figures"][0]
