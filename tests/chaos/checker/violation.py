"""A broken promise: which invariant, of what, and what was seen."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One finding of the checker; `invariant` is its number in the list of `verdict`."""

    invariant: str
    subject: str
    text: str
