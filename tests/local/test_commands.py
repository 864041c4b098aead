"""The commands of the local stack, as a person or a script calls them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from local.layout import CHECKOUT
from local.stack import Stack


def _local(home: Path, *arguments: str, base: str = "17600") -> subprocess.CompletedProcess[str]:
    environment = {"PALIMPSEST_HOME": str(home), "PALIMPSEST_PORT_BASE": base, "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-m", "local", *arguments]
    return subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)


def test_the_status_of_a_stack_that_is_down_is_said(tmp_path: Path) -> None:
    for_people = _local(tmp_path, "status")
    assert (for_people.returncode, for_people.stdout) == (3, "")
    assert "palimpsest up" in for_people.stderr
    for_programs = _local(tmp_path, "status", "--json")
    assert json.loads(for_programs.stdout) == {"running": False, "home": str(tmp_path)}


def test_down_is_harmless_where_nothing_runs(tmp_path: Path) -> None:
    assert _local(tmp_path, "down", "--wipe").returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_a_bad_setting_is_one_sentence(tmp_path: Path) -> None:
    refused = _local(tmp_path, "up", base="many")
    assert refused.returncode == 1
    assert refused.stderr == "error: PALIMPSEST_PORT_BASE=many must be a number from 1024 to 65400.\n"


def test_logs_of_nothing_are_one_sentence(tmp_path: Path) -> None:
    refused = _local(tmp_path, "logs", "kafka")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: There is no log")


@pytest.mark.parametrize("command", ["up", "down", "status", "logs"])
def test_every_command_explains_itself(tmp_path: Path, command: str) -> None:
    assert "usage: " in _local(tmp_path, command, "--help").stdout


def test_the_status_of_a_running_stack_names_addresses(stack: Stack) -> None:
    shown = _local(stack.layout.home, "status", "--json", base=str(stack.port_base))
    document = json.loads(shown.stdout)
    assert document["api_url"] == f"http://127.0.0.1:{stack.port_base}"
    states = {row["name"]: (row["state"], row["address"]) for row in document["programs"]}
    assert states["opensearch"] == ("RUNNING", f"http://{stack.site.address('opensearch')}")


def test_logs_of_an_engine_are_shown(stack: Stack) -> None:
    assert _local(stack.layout.home, "logs", "opensearch", base=str(stack.port_base)).stdout
