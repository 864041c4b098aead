"""Text for a terminal, whatever a server sends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.text import BOLD, PLAIN, highlighted, moment, printable, table


@pytest.mark.parametrize(
    ("seconds", "expected"), [(None, "-"), (0.0, "0:00:00"), (59.99, "0:00:59"), (61, "0:01:01"), (36_061, "10:01:01")]
)
def test_moments(seconds: float | None, expected: str) -> None:
    assert moment(seconds) == expected


@given(st.text())
def test_nothing_printed_can_steer_the_terminal(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text)
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in shown)


def test_hits_are_bold_where_the_terminal_can() -> None:
    marked = "next <mark>Tuesday</mark> &lt;b&gt; &amp; <mark>after</mark>"
    assert highlighted(marked, colour=False) == "next Tuesday <b> & after"
    assert highlighted(marked, colour=True) == f"next {BOLD}Tuesday{PLAIN} <b> & {BOLD}after{PLAIN}"


def test_escapes_hidden_in_a_hit_stay_harmless() -> None:
    assert "\x1b" not in highlighted("a&#27;[2J<mark>b\x1b[0m</mark>", colour=False)


def test_columns_line_up() -> None:
    assert table(("A", "LONG"), [("xyz", None), ("", 7)]) == "A    LONG\nxyz  -\n     7"
