"""A process of ours with one of its guards taken out, so that the checker can be seen to miss it.

`python -m tests.chaos.unguarded GUARD MODULE` runs the module's `main` after the guard is gone. A testing aid: nothing
of the product knows of it. `CHAOS_GATE` names a folder; while it holds a file `closed`, a consumer that has a batch in
hand stands still before it applies it, as if the machine had frozen it there, and dies when it has applied it.

dedupe      inputs are not remembered, so each is applied as often as it is delivered
offsets     stored offsets are moved without looking whether somebody else has moved them
leftovers   what was committed and not sent before a crash is not sent after it
order       what was committed is sent in another order
numbering   jobs are read once and never again under their lock
none        every guard is there
"""

import importlib
import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from runtime.consumer import ConsumerLoop
from runtime.kafka import Incoming, Place
from runtime.positions import Positions
from runtime.postgres import Connection
from streams.assembler.state import State
from streams.assembler.store import Slot, Store
from streams.assembler.worker import Assembler

GATE = "CHAOS_GATE"
POLL_S = 0.05
_MOVE = b"""
UPDATE consumer_offsets SET next_offset = %(next)s, last_record = %(last)s
WHERE consumer = %(consumer)s AND topic = %(topic)s AND partition = %(partition)s
"""


def without_dedupe() -> None:
    """Nothing was ever applied."""
    Store.applied = lambda *_: set()  # type: ignore[method-assign]


def without_offsets() -> None:
    """Whoever writes last is right."""

    def move(self: Positions, conn: Connection, place: Place, following: int, mark: bytes | None) -> None:
        conn.execute(_MOVE, self._row(*place) | {"next": following, "last": mark})

    Positions.move = move  # type: ignore[method-assign]


def without_leftovers() -> None:
    """A crash left nothing."""
    Store.outbox = lambda *_: []  # type: ignore[method-assign]


def without_order() -> None:
    """The last comes first."""
    publish = Assembler._publish

    def backwards(self: Assembler, conn: Connection, slots: list[Slot]) -> None:
        publish(self, conn, slots[::-1])

    Assembler._publish = backwards  # type: ignore[method-assign]


def without_numbering() -> None:
    """A job stays what it was when it was first seen."""
    lock, first = Store.lock, dict[str, State]()

    def remembered(self: Store, conn: Connection, job_ids: Iterable[str]) -> Mapping[str, State]:
        wanted = set(job_ids)
        for job_id, state in lock(self, conn, wanted).items():
            first.setdefault(job_id, state)
        return {job_id: first[job_id] for job_id in wanted if job_id in first}

    Store.lock = remembered  # type: ignore[method-assign,assignment]


def nothing() -> None:
    """Every guard stays."""


GUARDS: Mapping[str, Callable[[], None]] = {
    "dedupe": without_dedupe,
    "offsets": without_offsets,
    "leftovers": without_leftovers,
    "order": without_order,
    "numbering": without_numbering,
    "none": nothing,
}


def with_gate(folder: Path) -> None:
    """The first batch waits before the gate; `waiting` says that it does."""
    apply = ConsumerLoop._apply

    def gated(self: ConsumerLoop, conn: Connection, partition: int, records: list[Incoming]) -> None:
        while (folder / "closed").exists():
            (folder / "waiting").touch()
            threading.Event().wait(POLL_S)
        apply(self, conn, partition, records)
        # Only its own code stood still: what Kafka's client fetched meanwhile would move the offset on again.
        os._exit(1)

    ConsumerLoop._apply = gated  # type: ignore[method-assign]


def main() -> None:
    """Takes the guard out and runs the process."""
    guard, module = sys.argv[1:]
    GUARDS[guard]()
    if folder := os.environ.get(GATE):
        with_gate(Path(folder))
    importlib.import_module(module).main()


if __name__ == "__main__":
    main()
