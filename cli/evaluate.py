"""`palimpsest eval`: hands over to the evaluation, which is a program of its own.

In: its arguments. Out: its exit status. Must not know what is measured.
"""

import argparse
import subprocess
import sys


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "eval",
        help="measure accuracy and speed on recordings with a reference, beside plain WhisperX",
        description="Measures words, speakers, times, speed and memory beside plain WhisperX; see docs/operating.md.",
        add_help=False,
    )
    # `rest` says that options this parser does not know are the evaluation's.
    parser.set_defaults(run=run, rest=[])


def run(arguments: argparse.Namespace) -> int:
    """Exit status of the evaluation."""
    return subprocess.run([sys.executable, "-m", "bench.evaluation", *arguments.rest], check=False).returncode
