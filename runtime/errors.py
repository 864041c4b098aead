"""What can go wrong, by what to do about it.

    Poison    never try again: dead-letter the record and answer for it
    Unavailable  an outside system is away: try again in place, then stop
    Refused   tell the caller: a code, a sentence, nothing of the inside
    Fenced    somebody else owns this work now: roll back and stop
    Misconfigured  an operator must mend something first: say what, and stop

Modules that talk to an outside system translate its driver's errors into these, `raise … from error`.
"""


class Poison(Exception):
    """The record can never be processed."""


class Unavailable(Exception):
    """An outside system did not answer or answered that it cannot now."""


class StoreRefuses(Unavailable):
    """An outside system answered that it does not do this: a right is missing, or something is held there."""


class Fenced(Exception):
    """The offsets moved under us: another member owns the partition. Nothing of this batch took effect."""


class Misconfigured(Exception):
    """The process cannot run as it was set up; the message says what to do, and quotes no stranger."""


class ObjectMissing(Exception):
    """The object store has no object of that key."""


class ObjectWithheld(ObjectMissing):
    """The object store hands out others, and this one not: it is archived, or the right to it was withdrawn."""


class Refused(Exception):
    """The caller's request cannot be carried out; `code` is stable, the message is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
