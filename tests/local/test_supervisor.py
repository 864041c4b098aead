"""The supervisor's configuration holds what programs need, whatever is in it."""

import configparser
import shlex
from pathlib import Path

import pytest

from local.engines.program import Program
from local.errors import BadSetting, NotRunning
from local.layout import Layout
from local.supervisor import is_running, log_tail, render_config, restarts, states


def _section(layout: Layout, program: Program) -> configparser.SectionProxy:
    parser = configparser.RawConfigParser()
    parser.read_string(render_config(layout, [program]))
    return parser[f"program:{program.name}"]


def test_words_reach_the_program_as_they_are(tmp_path: Path) -> None:
    command = ("/bin/sh", "-c", 'echo "$0" 100% \\ done', "a b")
    section = _section(Layout(home=tmp_path), Program(name="odd", command=command))
    # Percent signs are the supervisor's own expansions.
    assert shlex.split(section["command"].replace("%%", "%")) == list(command)


def test_a_crashed_program_is_started_again_and_its_children_end_with_it(tmp_path: Path) -> None:
    section = _section(Layout(home=tmp_path), Program(name="kafka", command=("java",)))
    assert [section[key] for key in ("autorestart", "autostart", "stopasgroup", "killasgroup")] == [
        "true",
        "false",
        "true",
        "true",
    ]


@pytest.mark.parametrize("value", ['a"b', "a\nb"])
def test_a_value_that_cannot_be_carried_is_refused(tmp_path: Path, value: str) -> None:
    program = Program(name="api", command=("python",), environment={"PALIMPSEST_MODEL": value})
    with pytest.raises(BadSetting, match="PALIMPSEST_MODEL"):
        render_config(Layout(home=tmp_path), [program])


def test_without_a_supervisor_nothing_runs(tmp_path: Path) -> None:
    layout = Layout(home=tmp_path)
    assert not is_running(layout)
    assert restarts(layout) == {}
    with pytest.raises(NotRunning, match="palimpsest up"):
        states(layout)


def test_the_end_of_a_log_is_shown(tmp_path: Path) -> None:
    log = tmp_path / "kafka.log"
    log.write_text("".join(f"line {number}\n" for number in range(100)))
    assert log_tail(log, 2) == "line 98\nline 99"
    assert "was not written" in log_tail(tmp_path / "none.log")
