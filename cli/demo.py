"""`palimpsest demo`: the whole way once, for real, on a recording of two people.

In: nothing but this machine. Out: what `local.demo` shows. Must not know how.
"""

import argparse


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command."""
    sentence = "start everything, transcribe a real phone call, find a word in it"
    parser = subparsers.add_parser("demo", help=sentence, description=f"{sentence[0].upper()}{sentence[1:]}.")
    parser.set_defaults(run=run, begun=None)
    parser.add_argument("--exit", action="store_true", help="stop everything afterwards instead of staying up")


def run(arguments: argparse.Namespace) -> int:
    """Status of the demonstration."""
    # It needs the whole stack's libraries; the other commands do not wait for them.
    from local.demo import run as demonstrate

    return demonstrate(arguments)
