"""What a command of ours may fail with: one sentence for a person and an exit status for a script.

In: nothing. Out: `CommandError` and the table of exit statuses. Must not know how an error is printed.
"""

from enum import IntEnum


class Exit(IntEnum):
    """Exit statuses of `palimpsest`; argparse itself uses 2 for wrong usage."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    DENIED = 4
    NOT_FOUND = 5
    WAITING = 6
    INTERRUPTED = 130


class CommandError(Exception):
    """The command cannot go on; the message is one sentence that says what to do where that is known."""

    def __init__(self, message: str, status: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.status = status
