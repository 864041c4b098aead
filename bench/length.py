"""What an hour of sound costs in recordings of different lengths: the whole way must grow in line with them.

In: a running system and lengths. Out: for each length the wall and processor seconds an audio hour takes, and the most
memory of every process while it was under way, beside those of the shortest. The sound is one real recording, again
and again, each time a little louder or softer, so that no two chunks are the same.
"""

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import httpx
import numpy as np
import soundfile

from bench.processes import Running
from bench.report import Figure
from local.layout import CHECKOUT

RECORDING = CHECKOUT / "tests" / "data" / "audio" / "pyannote-sample.flac"
LENGTHS_MIN = (10, 60, 240)
WARM_UP_MIN = 2
TOLERANCE = 1.15
SAMPLE_PERIOD_S = 1.0
HOUR_S = 3_600.0
BYTES_PER_MB = 1_000_000
LIMIT_PER_AUDIO_S = 2.0  # a machine that takes longer than twice the recording does not measure, it waits
LIMIT_FLOOR_S = 300.0
_QUIET, _LOUD = 0.5, 1.0
_ENDED = ("completed", "failed", "cancelled")


class NotCompleted(Exception):
    """A recording failed or took too long; the message says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one recording took."""

    minutes: int
    wall_s: float
    cpu_s: Mapping[str, float]
    peak_bytes: Mapping[str, int]

    def per_hour(self, seconds: float) -> float:
        """Seconds for each hour of sound."""
        return seconds * HOUR_S / (self.minutes * 60)


@dataclass(slots=True, kw_only=True)
class _Peaks:
    """The most memory of each process that was seen."""

    processes: Running
    found: dict[str, int] = field(default_factory=dict)

    def look(self) -> None:
        for name, size in self.processes.memory_bytes().items():
            self.found[name] = max(size, self.found.get(name, 0))


def measure(processes: Running, key: str, lengths_min: Sequence[int], engines: str) -> list[Figure]:
    """Each length once, shortest first, after a short recording that warms up every process."""
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=processes.api_url, headers=headers, timeout=HOUR_S) as client:
        _cost(client, processes, WARM_UP_MIN)
        costs = [_cost(client, processes, minutes) for minutes in sorted(lengths_min)]
    return [figure for cost in costs for figure in _figures(cost, costs[0], engines)]


def write_recording(file: IO[bytes], minutes: int) -> None:
    """A FLAC file of this length, 16 kHz mono, made piece by piece."""
    once, rate_hz = soundfile.read(RECORDING, dtype="float32")
    wanted = minutes * 60 * rate_hz
    with soundfile.SoundFile(file, "w", rate_hz, 1, "PCM_16", format="FLAC") as out:
        for i, gain in enumerate(np.random.default_rng(minutes).uniform(_QUIET, _LOUD, -(-wanted // len(once)))):
            out.write(once[: wanted - i * len(once)] * gain)


def _cost(client: httpx.Client, processes: Running, minutes: int) -> Cost:
    peaks = _Peaks(processes=processes)
    before = processes.cpu_seconds()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording.flac"
        with path.open("w+b") as file:
            write_recording(file, minutes)
        started = time.monotonic()
        _transcribed(client, path, minutes, peaks)
        wall_s = time.monotonic() - started
    after = processes.cpu_seconds()
    return Cost(
        minutes=minutes,
        wall_s=wall_s,
        cpu_s={name: after[name] - before[name] for name in after},
        peak_bytes=peaks.found,
    )


def _transcribed(client: httpx.Client, path: Path, minutes: int, peaks: _Peaks) -> None:
    deadline = time.monotonic() + max(LIMIT_FLOOR_S, LIMIT_PER_AUDIO_S * minutes * 60)
    with path.open("rb") as body:
        answer = client.post(
            "/v1/transcriptions",
            params={"file_name": f"{minutes}-minutes.flac"},
            content=body,
            headers={"Content-Type": "audio/flac"},
        )
    job = answer.raise_for_status().json()
    while job["status"] not in _ENDED and time.monotonic() < deadline:
        peaks.look()
        time.sleep(SAMPLE_PERIOD_S)
        job = client.get(f"/v1/transcriptions/{job['id']}").raise_for_status().json()
    if job["status"] != "completed":
        raise NotCompleted(f"{minutes} minutes: the job is {job['status']}: {job['failure']}")


def _figures(cost: Cost, shortest: Cost, engines: str) -> list[Figure]:
    group = f"{cost.minutes} minutes of sound, {engines} engines, all of it for one hour of sound"
    cpu_s = sum(cost.cpu_s.values())
    times = [
        Figure(group=group, name="wall time", value=cost.per_hour(cost.wall_s), unit="s"),
        Figure(group=group, name="processor time of our processes", value=cost.per_hour(cpu_s), unit="s"),
    ]
    each = [
        Figure(group=group, name=f"processor time, {name}", value=cost.per_hour(seconds), unit="s")
        for name, seconds in cost.cpu_s.items()
    ]
    memory = [
        Figure(group=group, name=f"most memory, {name}", value=size / BYTES_PER_MB, unit="MB")
        for name, size in cost.peak_bytes.items()
    ]
    return times + each + memory + (_growth(group, cost, shortest) if cost is not shortest else [])


def _growth(group: str, cost: Cost, shortest: Cost) -> list[Figure]:
    """How much more than the shortest an hour of sound takes; flat is at most 15 % more."""
    cpu = cost.per_hour(sum(cost.cpu_s.values())) / shortest.per_hour(sum(shortest.cpu_s.values()))
    worst = max(cost.peak_bytes, key=lambda name: cost.peak_bytes[name] / shortest.peak_bytes[name])
    memory = cost.peak_bytes[worst] / shortest.peak_bytes[worst]
    beside = f"beside {shortest.minutes} minutes"
    return [
        Figure(group=group, name=f"processor time {beside}", value=cpu, unit="×", aim=TOLERANCE, at_least=False),
        Figure(
            group=group, name=f"most memory {beside} ({worst})", value=memory, unit="×", aim=TOLERANCE, at_least=False
        ),
    ]
