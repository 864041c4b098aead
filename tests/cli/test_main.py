"""The tree of commands: every one explains itself, and every failure is a sentence and a status."""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.errors import Exit
from cli.main import parser, run


def _leaves(tree: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    inner = [action for action in tree._actions if isinstance(action, argparse._SubParsersAction)]
    if not inner:
        yield tree
    for action in inner:
        for child in action.choices.values():
            yield from _leaves(child)


LEAVES = list(_leaves(parser()))


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.prog)
def test_every_command_says_what_it_does_and_can_run(leaf: argparse.ArgumentParser) -> None:
    assert leaf.description and leaf.description[0].isupper()
    assert callable(leaf.get_default("run"))
    for action in leaf._actions:
        assert action.help, f"{leaf.prog}: {action.dest}"


def test_the_commands_of_the_design_are_there() -> None:
    names = {leaf.prog.removeprefix("palimpsest ") for leaf in LEAVES}
    assert {"up", "down", "status", "logs", "transcribe", "jobs", "search", "export", "eval", "bench"} <= names
    assert {"topics apply", "schemas check", "schemas register", "schema apply", "dead-letters list"} <= names


def test_wrong_usage_ends_with_two() -> None:
    with pytest.raises(SystemExit) as ended:
        run(["jobs", "--no-such-option"])
    assert ended.value.code == Exit.USAGE


def test_an_unreachable_server_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    # Port 9 (discard) is never served on loopback.
    assert run(["jobs", "--server", "http://127.0.0.1:9", "--key", "pal_x"]) == Exit.UNREACHABLE
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_it_runs_as_a_module(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "cli", "--help"], capture_output=True, text=True, check=True)
    assert "palimpsest transcribe" in done.stdout
