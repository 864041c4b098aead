"""`make bench`: how fast this machine is with everything but the models, and what it takes.

In: arguments. Out: a table on standard output, JSON under `out/bench/`. Uses the engines of a stack folder of its own,
starting them if they do not run, and a fresh workspace on them, so that it may run beside a demo.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from api.accounts.keys import create_key
from bench import chunker, clustering, latency, length, rebuild, throughput
from bench.processes import STUB, Running, running
from bench.report import Figure, table, write
from bench.resources import cpu_seconds, proportional_bytes
from local.engines import ENGINES
from local.layout import CHECKOUT
from local.models import ensure_models
from local.processes import PROCESSES
from local.stack import Stack
from local.workspace import fresh_workspace
from runtime.settings import Settings

HOME = CHECKOUT / ".palimpsest" / "bench"
PORT_BASE = 17600
OUT = CHECKOUT / "out" / "bench"
WRITE_SIDE = ("speech-asr", "speech-diarization", "assembler", "projector")
DESCRIPTION = "Measures the pipeline with the stub engines, beside the bare broker."
BYTES_PER_MB = 1_000_000
MS_PER_S = 1_000
T = TypeVar("T")
ENGINE_PARTS = ("throughput", "latency", "rebuild")
PARTS = (*ENGINE_PARTS, "chunker")
# Takes its time: only where it is asked for.
ASKED_ENGINE_PARTS = ("length",)
ASKED_PARTS = (*ASKED_ENGINE_PARTS, "clustering")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="palimpsest bench", description="Measures the pipeline with the stub engines."
    )
    parser.add_argument(
        "--only",
        choices=(*PARTS, *ASKED_PARTS),
        action="append",
        help=f"one part, or more; {', '.join(PARTS)} if not given",
    )
    parser.add_argument("--jobs", type=int, default=40, metavar="N", help="jobs of the throughput part (default: 40)")
    parser.add_argument("--chunks", type=int, default=50, metavar="N", help="chunks of each of them (default: 50)")
    parser.add_argument("--posts", type=int, default=100, metavar="N", help="jobs of the latency part (default: 100)")
    parser.add_argument(
        "--rebuilt-jobs", type=int, default=2_000, metavar="N", help="jobs of the rebuild part (default: 2000)"
    )
    parser.add_argument(
        "--minutes",
        type=int,
        nargs="+",
        default=length.LENGTHS_MIN,
        metavar="N",
        help=f"recordings of the parts length and clustering (default: {' '.join(map(str, length.LENGTHS_MIN))})",
    )
    parser.add_argument("--real-engines", action="store_true", help="the length part with the real models")
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help="folder of logs and figures")
    parser.add_argument("--home", type=Path, default=HOME, help="the stack folder whose engines are used")
    parser.add_argument("--port-base", type=int, default=PORT_BASE, metavar="PORT", help=f"default: {PORT_BASE}")
    return parser.parse_args()


@contextmanager
def engines(home: Path, port_base: int) -> Iterator[Stack]:
    """Those that run there, else started now and stopped at the end."""
    stack = Stack(home, port_base, say=_say)
    ran_before = stack.is_running()
    stack.start_engines()
    try:
        yield stack
    finally:
        if not ran_before:
            stack.stop()
            stack.wipe()


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


def _throughput(engines: Mapping[str, str], arguments: argparse.Namespace, stack: Stack) -> list[Figure]:
    chunks = arguments.jobs * arguments.chunks
    with (
        fresh_workspace(engines) as values,
        running(WRITE_SIDE, values, arguments.out / "logs" / "throughput") as processes,
    ):
        _say(f"throughput: {chunks} chunks")
        settings = Settings.read(values)
        throughput.warm_up(settings)
        before = _engines_by(stack, cpu_seconds) | processes.cpu_seconds()
        figures = throughput.measure(settings, arguments.jobs, arguments.chunks)
        after = _engines_by(stack, cpu_seconds) | processes.cpu_seconds()
        return figures + _cost(before, after, chunks)


def _engines_by(stack: Stack, measured: Callable[[int], T]) -> dict[str, T]:
    return {row.name: measured(row.pid) for row in stack.status() if row.name in ENGINES}


def _cost(before: Mapping[str, float], after: Mapping[str, float], chunks: int) -> list[Figure]:
    """What a chunk costs each process: a figure that a busy machine does not change."""
    group = "processor time a chunk, raw produce → consume included"
    costs = {name: (after[name] - before[name]) / chunks * MS_PER_S for name in after}
    return [Figure(group=group, name=name, value=cost, unit="ms") for name, cost in costs.items()]


def _latency(engines: Mapping[str, str], arguments: argparse.Namespace, stack: Stack) -> list[Figure]:
    names = tuple(PROCESSES)
    with fresh_workspace(engines) as values, running(names, values, arguments.out / "logs" / "latency") as processes:
        _say(f"latency: {arguments.posts} jobs, one at a time")
        key = create_key(Settings.read(values).postgres_dsn, "bench", "bench")
        figures = latency.measure(processes.api_url, key, arguments.posts)
        return figures + _memory(processes, stack)


def _rebuild(engines: Mapping[str, str], arguments: argparse.Namespace) -> list[Figure]:
    with fresh_workspace(engines) as values:
        _say(f"rebuild: {arguments.rebuilt_jobs} jobs")
        return rebuild.measure(Settings.read(values), arguments.rebuilt_jobs)


def _length(engines: Mapping[str, str], arguments: argparse.Namespace, stack: Stack) -> list[Figure]:
    if arguments.real_engines:
        ensure_models(stack.layout.models)
    chosen = {name: value for name, value in engines.items() if name not in STUB} if arguments.real_engines else engines
    with (
        fresh_workspace(chosen) as values,
        running(tuple(PROCESSES), values, arguments.out / "logs" / "length") as processes,
    ):
        _say(f"length: {', '.join(map(str, arguments.minutes))} minutes")
        key = create_key(Settings.read(values).postgres_dsn, "bench", "bench")
        return length.measure(processes, key, arguments.minutes, "real" if arguments.real_engines else "stub")


def _memory(processes: Running, stack: Stack) -> list[Figure]:
    sizes = _engines_by(stack, proportional_bytes) | processes.memory_bytes()
    group = "memory (proportional set size, children included; speech workers with the stub engines)"
    return [Figure(group=group, name=name, value=size / BYTES_PER_MB, unit="MB") for name, size in sizes.items()]


def _with_engines(parts: Sequence[str], arguments: argparse.Namespace) -> list[Figure]:
    figures: list[Figure] = []
    with engines(arguments.home, arguments.port_base) as stack:
        settings = {**stack.shared_settings(), **STUB}
        if "throughput" in parts:
            figures += _throughput(settings, arguments, stack)
        if "latency" in parts:
            figures += _latency(settings, arguments, stack)
        if "rebuild" in parts:
            figures += _rebuild(settings, arguments)
        if "length" in parts:
            figures += _length(settings, arguments, stack)
    return figures


def main() -> int:
    """0 also where an aim was missed: the table says so, and a busy machine is no error."""
    arguments = _arguments()
    parts = arguments.only or PARTS
    started = time.monotonic()
    figures: list[Figure] = []
    if set(parts) & {*ENGINE_PARTS, *ASKED_ENGINE_PARTS}:
        figures += _with_engines(parts, arguments)
    if "chunker" in parts:
        _say("chunker: an hour of sound, twice")
        figures += chunker.measure()
    if "clustering" in parts:
        _say("clustering: made-up evidence of up to four hours")
        figures += clustering.measure(arguments.minutes)
    target = write(figures, arguments.out, datetime.now(UTC))
    print(table(figures))
    _say(f"\n{time.monotonic() - started:.0f} s; written to {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
