"""A decision in the making: facts with their numbers and ids, and the state they lead to.

In: the state before, and what caused the decision. Out: changes in order, each already reflected in `state`.
Knows no rule of when a fact is due; the modules that decide do.
"""

from dataclasses import dataclass
from typing import Any

from schemas import records
from schemas.identity import event_id
from streams.assembler.job import evolve
from streams.assembler.state import Change, Note, State

ASSEMBLER = "assembler"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What a fact names as its cause, and when and by whom it therefore happened."""

    cause_id: str
    occurred_at: int
    actor: str


def machine(event: records.Event) -> Cause:
    """The cause of facts that follow from work done."""
    return Cause(cause_id=event.event_id, occurred_at=event.occurred_at, actor=ASSEMBLER)


def requested(event: records.Event) -> Cause:
    """The cause of facts that answer somebody's request."""
    return Cause(cause_id=event.event_id, occurred_at=event.occurred_at, actor=event.actor)


class Decision:
    """Collects the changes of one decision."""

    def __init__(self, state: State, cause: Cause, *, published: int = 0) -> None:
        """`published` facts with segments have this cause already: those that follow need other ids."""
        self.state = state
        self.cause = cause
        self.changes: list[Change] = []
        self._kinds: dict[str, int] = {records.SegmentsPublished.__name__: published}

    def head(self, kind: type[records.Fact]) -> dict[str, Any]:
        """The fields every fact carries, for the next fact of `kind`."""
        return head(kind, self.state, self.cause, self._kinds.get(kind.__name__, 0))

    def add(self, fact: records.TranscriptRecord) -> None:
        """Takes a fact whose head came from `head`."""
        name = type(fact).__name__
        self._kinds[name] = self._kinds.get(name, 0) + 1
        self._change(fact)

    def note(self, note: Note) -> None:
        """Takes a change that is no fact."""
        self._change(note)

    def _change(self, change: Change) -> None:
        self.changes.append(change)
        self.state = evolve(self.state, change) or self.state


def head(kind: type[records.Fact], state: State, cause: Cause, ordinal: int = 0) -> dict[str, Any]:
    """The fields every fact carries: the next number of the job, an id that follows from cause, kind and ordinal."""
    return {
        "event_id": event_id(cause.cause_id, kind.__name__, ordinal),
        "job_id": state.job_id,
        "tenant_id": state.tenant_id,
        "actor": cause.actor,
        "occurred_at": cause.occurred_at,
        "cause_id": cause.cause_id,
        "seq": state.seq + 1,
    }
