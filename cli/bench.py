"""`palimpsest bench`: hands over to the benchmark, which is a program of its own.

In: its arguments. Out: its exit status. Must not know what is measured.
"""

import argparse
import subprocess
import sys


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "bench",
        help="measure this machine: chunks per second, time to a transcript, memory",
        description="Measures the pipeline with the stub engine beside the bare broker; see docs/operating.md.",
        add_help=False,
    )
    # `rest` says that options this parser does not know are the benchmark's.
    parser.set_defaults(run=run, rest=[])


def run(arguments: argparse.Namespace) -> int:
    """Exit status of the benchmark."""
    return subprocess.run([sys.executable, "-m", "bench", *arguments.rest], check=False).returncode
