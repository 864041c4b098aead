"""`palimpsest eval` and `palimpsest bench`: hand over to programs of their own.

In: their arguments. Out: their exit status. Must not know what they measure.
"""

import argparse
import subprocess
import sys

# By command: the module that is run, and what it is for.
PROGRAMS = {
    "eval": ("bench.evaluation", "measure accuracy and speed on recordings with a reference, beside plain WhisperX"),
    "bench": ("bench", "measure this machine: chunks per second, time to a transcript, memory"),
}


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the commands."""
    for command, (module, sentence) in PROGRAMS.items():
        description = f"{sentence[0].upper()}{sentence[1:]}."
        parser = subparsers.add_parser(command, help=sentence, description=description, add_help=False)
        # `rest` says that options this parser does not know are the program's.
        parser.set_defaults(run=run, module=module, rest=[])


def run(arguments: argparse.Namespace) -> int:
    """Exit status of the program."""
    return subprocess.run([sys.executable, "-m", arguments.module, *arguments.rest], check=False).returncode
