"""`make soak`: thousands of small jobs, and the memory and open files of every process while they pass.

In: arguments. Out: a table with the first, middle and last third of each process, its growth over the last half and
what it took beyond that for one recording of a gigabyte; exit status 1 where one of them was more than allowed, or a
job did not complete. Chunks come first, so that what is remembered up to a limit is full, then jobs over HTTP, then the
large recording. Uses the engines of a stack folder of its own and a fresh workspace on them.
"""

import argparse
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx

from api.accounts.keys import create_key
from bench import throughput
from bench.__main__ import HOME, OUT, PORT_BASE, engines
from bench.load import Load
from bench.processes import STUB, Running, running
from bench.recordings import wav_head
from bench.resources import open_files, proportional_bytes
from local.processes import PROCESSES
from local.workspace import fresh_workspace
from runtime.settings import Settings
from streams.chunker.locks import DATA_BYTES

JOBS = 5_000
CHUNKS = 20_000
CHUNKS_PER_JOB = 50
JOBS_PER_S = 6.0
SAMPLE_PERIOD_S = 5.0
# From one quarter of the run to the next, whatever the size of the process: a share would hide more in a larger one.
ALLOWED_BYTES = 6_000_000
ALLOWED_FILES = 8
UPLOAD_BYTES = 1_000_000_000
# What the large recording may take beyond the run before it: the others take it in pieces, but a decoder may have as
# much as its limit, a model holds a batch of chunks of half a minute, and the evidence of hours is clustered at once.
LARGE_BYTES = 20_000_000
LARGE_BYTES_OF: Mapping[str, int] = {
    "chunker-long": DATA_BYTES,
    "speech-asr": 60_000_000,
    "speech-diarization": 60_000_000,
    "assembler": 200_000_000,
}
LARGE_LIMIT_S = 3_600.0
PIECE_BYTES = 1_000_000
PROGRESS_PERIOD_S = 10.0
QUIET_LIMIT_S = 600.0
LEAST_SAMPLES = 6
BYTES_PER_MB = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look at a process with its children."""

    bytes: int
    files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a process took over time; `flat` compares the middle of the run with its end."""

    name: str
    thirds_bytes: tuple[float, float, float]
    growth_bytes: float
    growth_files: float
    large_bytes: float

    @property
    def flat(self) -> bool:
        """Whether the last half of the run added next to nothing, and the large recording no more than it may."""
        grew = self.growth_bytes > ALLOWED_BYTES or self.growth_files > ALLOWED_FILES
        return not grew and self.large_bytes <= LARGE_BYTES_OF.get(self.name, LARGE_BYTES)


def judge(name: str, samples: Sequence[Sample], large: Sequence[Sample] = ()) -> Verdict:
    """Medians of the thirds, growth from the third quarter of the run to its last, and the most during the large
    recording above that last quarter."""
    third, quarter = max(1, len(samples) // 3), max(1, len(samples) // 4)
    sizes = [float(sample.bytes) for sample in samples]
    files = [float(sample.files) for sample in samples]
    return Verdict(
        name=name,
        thirds_bytes=(median(sizes[:third]), median(sizes[third : 2 * third] or sizes), median(sizes[-third:])),
        growth_bytes=median(sizes[-quarter:]) - median(sizes[-2 * quarter : -quarter] or sizes),
        growth_files=median(files[-quarter:]) - median(files[-2 * quarter : -quarter] or files),
        large_bytes=max((sample.bytes for sample in large), default=0.0) - median(sizes[-quarter:]) if large else 0.0,
    )


class Watch:
    """Samples every process until stopped."""

    def __init__(self, processes: Running) -> None:
        self.samples: dict[str, list[Sample]] = {name: [] for name in processes.pids()}
        self._processes = processes
        self._stop = threading.Event()

    @contextmanager
    def running(self) -> Iterator["Watch"]:
        """Samples while the block runs."""
        thread = threading.Thread(target=self._watch, name="watch")
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(SAMPLE_PERIOD_S):
            for name, pid in self._processes.pids().items():
                self.samples[name].append(Sample(bytes=proportional_bytes(pid), files=open_files(pid)))


def _over_http(processes: Running, settings: Settings, jobs: int) -> int:
    """Jobs as clients hand them in; how many did not complete."""
    load = Load(processes.api_url, create_key(settings.postgres_dsn, "soak", "soak"), JOBS_PER_S)
    with load.running():
        while (promised := len(load.promised)) < jobs:
            _say(f"{promised:,} of {jobs:,} jobs")
            time.sleep(PROGRESS_PERIOD_S)
    deadline = time.monotonic() + QUIET_LIMIT_S
    while (left := load.open_jobs(list(load.promised))) and time.monotonic() < deadline:
        time.sleep(1.0)
    for call in [call for call in load.calls if call.fault][:3]:
        _say(f"an answer was not clear: {call.kind}: {call.fault}")
    return len(left)


def _one_large(processes: Running, settings: Settings, size_bytes: int) -> tuple[float, str]:
    """The most that the API grew while it took in one large recording, and how the job ended."""
    pid = processes.pids()["api"]
    before, most = proportional_bytes(pid), 0

    def body() -> Iterator[bytes]:
        nonlocal most
        yield wav_head(size_bytes)
        for number in range(size_bytes // PIECE_BYTES):
            if number % 10 == 0:
                most = max(most, proportional_bytes(pid))
            yield (number + 1).to_bytes(4, "big") * (PIECE_BYTES // 4)

    key = create_key(settings.postgres_dsn, "soak", "soak")
    with httpx.Client(base_url=processes.api_url, headers={"Authorization": f"Bearer {key}"}, timeout=300) as client:
        answer = client.post("/v1/transcriptions", content=body(), headers={"Content-Type": "audio/wav"})
        ended = _ended(client, answer.raise_for_status().json()["id"])
    return float(most - before), ended


def _ended(client: httpx.Client, job_id: str) -> str:
    deadline = time.monotonic() + LARGE_LIMIT_S
    while True:
        status = str(client.get(f"/v1/transcriptions/{job_id}").raise_for_status().json()["status"])
        if status in ("completed", "failed", "cancelled") or time.monotonic() > deadline:
            return status
        _say(f"the large recording is {status}")
        time.sleep(PROGRESS_PERIOD_S)


def row(verdict: Verdict) -> str:
    """One line of the table."""
    thirds = "".join(f"{size / BYTES_PER_MB:>10.1f}" for size in verdict.thirds_bytes)
    growth = f"{verdict.growth_bytes / BYTES_PER_MB:>+12.1f}{verdict.growth_files:>+9.0f}"
    large = f"{verdict.large_bytes / BYTES_PER_MB:>+9.1f}"
    return f"{verdict.name:<20}{thirds}{growth}{large}  {'flat' if verdict.flat else 'GROWS'}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"jobs over HTTP (default {JOBS:,})")
    parser.add_argument("--chunks", type=int, default=CHUNKS, help=f"chunks before them (default {CHUNKS:,})")
    parser.add_argument("--upload-bytes", type=int, default=UPLOAD_BYTES, help="size of the one large recording")
    parser.add_argument("--home", type=Path, default=HOME, help="the stack folder whose engines are used")
    parser.add_argument("--port-base", type=int, default=PORT_BASE, metavar="PORT", help=f"default: {PORT_BASE}")
    return parser.parse_args()


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


def _chunks(processes: Running, settings: Settings, values: Mapping[str, str], chunks: int) -> None:
    """Plays the chunker, which would cut the uploads of these chunks once more; it starts again afterwards."""
    processes.end("chunker")
    _say(f"{chunks:,} chunks")
    throughput.measure(settings, max(1, chunks // CHUNKS_PER_JOB), CHUNKS_PER_JOB)
    processes.start("chunker", values)
    processes.await_ready("chunker")


def _soak(values: Mapping[str, str], arguments: argparse.Namespace) -> bool:
    settings = Settings.read(values)
    with running(tuple(PROCESSES), values, OUT / "logs" / "soak") as processes:
        with Watch(processes).running() as watch:
            if arguments.chunks:
                _chunks(processes, settings, values, arguments.chunks)
            left = _over_http(processes, settings, arguments.jobs)
        with Watch(processes).running() as watch_large:
            grew, ended = _one_large(processes, settings, arguments.upload_bytes)
    verdicts = [
        judge(name, samples, watch_large.samples[name])
        for name, samples in watch.samples.items()
        if len(samples) >= LEAST_SAMPLES
    ]
    print(f"{'MB, median of':<20}{'1st third':>10}{'2nd':>10}{'3rd':>10}{'last half':>12}{'files':>9}{'large':>9}")
    print("\n".join(map(row, verdicts)))
    print(f"{arguments.chunks:,} chunks, then {arguments.jobs:,} jobs, {left} not completed")
    size = f"{arguments.upload_bytes / BYTES_PER_MB:,.0f} MB"
    print(f"a recording of {size} {ended}; the API grew by {grew / BYTES_PER_MB:.1f} MB while it took it in")
    return not left and ended == "completed" and all(verdict.flat for verdict in verdicts) and grew < LARGE_BYTES


def main() -> int:
    """0 when everything stayed flat and every job completed."""
    arguments = _arguments()
    with (
        engines(arguments.home, arguments.port_base) as stack,
        fresh_workspace({**stack.shared_settings(), **STUB}) as values,
    ):
        return 0 if _soak(values, arguments) else 1


if __name__ == "__main__":
    sys.exit(main())
