"""`palimpsest`: the command line.

In: arguments and the environment. Out: an exit status; errors are one sentence on standard error.
Each family of commands is one module with `register`; the tables below are all there is.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from cli import demo, export, jobs, operators, privacy, programs, search, transcribe
from cli.errors import CommandError, Exit
from local import commands as stack
from local.errors import LocalError
from runtime.errors import Unavailable

# User commands speak HTTP and work against any server; operator commands need the installation's settings.
FAMILIES: tuple[Callable[["argparse._SubParsersAction[argparse.ArgumentParser]"], None], ...] = (
    transcribe.register,
    jobs.register,
    search.register,
    export.register,
    stack.register,
    demo.register,
    operators.register,
    privacy.register,
    programs.register,
)
EPILOG = """first steps:
  palimpsest up                       start everything on this machine
  palimpsest transcribe call.m4a      transcribe a file
  palimpsest search "next tuesday"    find when it was said

Every command has its own --help. Exit status: 0 done, 1 failed, 2 wrong usage, 3 server or stack not
reachable, 4 key missing or refused, 5 not found, 6 not done yet.
"""


def parser() -> argparse.ArgumentParser:
    """The whole tree of commands."""
    top = argparse.ArgumentParser(
        prog="palimpsest",
        description="Speaker-labelled, searchable, correctable transcripts of recordings.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subparsers = top.add_subparsers(required=True, metavar="COMMAND", title="commands")
    for register in FAMILIES:
        register(subparsers)
    return top


def run(arguments: Sequence[str]) -> int:
    """One command; every expected failure becomes a sentence and a status."""
    tree = parser()
    parsed, rest = tree.parse_known_args(arguments)
    if rest and not hasattr(parsed, "rest"):
        tree.error(f"unrecognized arguments: {' '.join(rest)}")
    parsed.rest = rest
    command: Callable[[argparse.Namespace], int] = parsed.run
    try:
        return command(parsed)
    except CommandError as error:
        return _say(str(error), error.status)
    except LocalError as error:
        return _say(str(error), Exit.FAILED)
    except Unavailable as error:
        return _say(str(error), Exit.UNREACHABLE)
    except KeyboardInterrupt:
        return _say("stopped", Exit.INTERRUPTED)
    except BrokenPipeError:
        # `palimpsest jobs | head`: whoever read has had enough; nothing may be written any more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED


def _say(sentence: str, status: Exit) -> int:
    sys.stderr.write(f"palimpsest: {sentence}\n")
    return status


def main() -> int:
    """The entry point of the installed command."""
    status = run(sys.argv[1:])
    if status == Exit.INTERRUPTED:
        # Threads may still be waiting for a server; a person who pressed Ctrl-C is not.
        sys.stdout.flush()
        os._exit(status)
    return status


if __name__ == "__main__":
    sys.exit(main())
