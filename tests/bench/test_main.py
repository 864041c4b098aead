"""The benchmark runs against real processes; how fast it finds them is not judged here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from local.stack import Stack


@pytest.mark.slow
def test_it_measures_what_the_figures_name(stack: Stack, tmp_path: Path) -> None:
    size = ["--jobs", "2", "--chunks", "3", "--posts", "2", "--only", "throughput", "--only", "latency"]
    where = ["--home", str(stack.layout.home), "--port-base", str(stack.port_base), "--out", str(tmp_path)]
    done = subprocess.run([sys.executable, "-m", "bench", *size, *where], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert "ChunkCut → ChunkCompleted" in done.stdout
    (file,) = tmp_path.glob("*.json")
    figures = {(f["group"].partition(":")[0], f["name"]): f["value"] for f in json.loads(file.read_text())["figures"]}
    assert figures["throughput", "raw produce → consume, same broker"] > 0
    assert 0 < figures["time to a transcript", "POST → completed, p50"] < 60
    assert all(value > 0 for (group, _), value in figures.items() if group.startswith("memory"))
