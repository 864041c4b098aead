"""Dead letters as operators see them: where each is, why it is there, and whether somebody dealt with it.

In: records of the dead-letter topic. Out: letters, and the markers that settle them: a marker is a record without value
on the same partition, so that the topic itself says what became of a letter. Reads nothing but what it is given.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from runtime.kafka import Incoming, Outgoing, redriven
from schemas.topics import DEAD_LETTERS

WHY = "__dlq.errors."
SETTLED = "palimpsest_settled"
SETTLED_OFFSET = "palimpsest_settled_offset"
SETTLED_BY = "palimpsest_settled_by"


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter without its content. `settled` is empty, `redriven` or `discarded`."""

    partition: int
    offset: int
    timestamp_ms: int
    key: str
    kind: str
    redrives: int
    why: Mapping[str, str]
    settled: str = ""

    @property
    def place(self) -> str:
        """As `list` shows it."""
        return f"{self.partition}/{self.offset}"

    @property
    def job_id(self) -> str:
        """The job its key names; a key of the chunk lanes has an index behind it."""
        return self.key.partition("/")[0]

    @property
    def origin(self) -> tuple[str | int, ...]:
        """The same for letters that a crash made twice of one record."""
        return (*(self.why.get(name, "") for name in ("topic", "partition", "offset", "group")), self.redrives)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which letters a command is about; what is empty does not matter."""

    places: frozenset[str] = frozenset()
    topic: str = ""
    cause: str = ""
    job: str = ""
    settled_too: bool = False

    def has(self, letter: Letter) -> bool:
        """Whether this is one of them."""
        return (
            (not self.places or letter.place in self.places)
            and self.topic in ("", letter.why.get("topic"))
            and self.cause in ("", letter.why.get("exception"))
            and self.job in ("", letter.job_id)
            and (self.settled_too or not letter.settled)
        )


def letter_of(record: Incoming) -> Letter:
    """What is known of a dead letter without reading its content."""
    headers = {name: text(value) for name, value in record.headers}
    return Letter(
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp_ms,
        key=text(record.key or b""),
        kind=headers.get("ce_type", ""),
        redrives=record.redrives,
        why={name.removeprefix(WHY): value for name, value in headers.items() if name.startswith(WHY)},
    )


def collect(records: Iterable[Incoming]) -> list[Letter]:
    """All letters in the order in which they came, each once, with what became of it."""
    found: dict[tuple[str | int, ...], Letter] = {}
    origin_at: dict[tuple[int, str], tuple[str | int, ...]] = {}
    settled: dict[tuple[str | int, ...], str] = {}
    for record in records:
        headers = {name: text(value) for name, value in record.headers}
        if SETTLED in headers:
            origin = origin_at.get((record.partition, headers.get(SETTLED_OFFSET, "")))
            if origin is not None:
                settled[origin] = headers[SETTLED]
            continue
        letter = letter_of(record)
        origin_at[letter.partition, str(letter.offset)] = letter.origin
        found.setdefault(letter.origin, letter)
    letters = (replace(letter, settled=settled.get(origin, "")) for origin, letter in found.items())
    return sorted(letters, key=lambda letter: (letter.timestamp_ms, letter.partition, letter.offset))


def original(record: Incoming) -> Outgoing:
    """The record as it was, for the place it came from, marked as coming back once more."""
    letter = letter_of(record)
    return redriven(
        Outgoing(
            topic=letter.why["topic"],
            partition=int(letter.why["partition"]),
            key=record.key or b"",
            value=record.value,
            headers=tuple(header for header in record.headers if not header[0].startswith(WHY)),
        ),
        letter.redrives + 1,
    )


def marker(letter: Letter, settled: str, by: str) -> Outgoing:
    """The record that settles a letter."""
    said = {SETTLED: settled, SETTLED_OFFSET: str(letter.offset), SETTLED_BY: by}
    return Outgoing(
        topic=DEAD_LETTERS,
        partition=letter.partition,
        key=letter.key.encode(),
        value=None,
        headers=tuple((name, value.encode()) for name, value in said.items()),
    )


def text(data: bytes) -> str:
    """Bytes that may be anything."""
    return data.decode("utf-8", errors="replace")
