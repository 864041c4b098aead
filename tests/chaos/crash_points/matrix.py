"""Which cells there are, and what makes the process of each come to its crash point.

In: the list of sites, read from the source. Out: cells: a site, a kind of fault, a client's journey that leads there,
and whatever else must happen first. A site that no row names is met by every journey.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from runtime.faults import Kind
from tests.chaos.crash_points.sweeping import SWEEPING

# Journeys that every process takes part in.
EVERYWHERE = ("whole", "erased", "gap")
# Those of them, and one more, at which nothing is decoded.
WITHOUT_AUDIO = (*EVERYWHERE, "cancelled")
LONG = "chunker-long"
CHUNKERS = ("chunker", LONG)
SLOW = "slow"

JOURNEYS = {
    "audio.begin": "multipart",
    "audio.part": "multipart",
    "audio.finish": "multipart",
    "audio.abort": "mended",
    "key.release": "mended",
    "key.renew": SLOW,
    "key.settle": "whole",
    "key.lapse": "whole",
    "refusal.produce": "rejected",
    "tries.forget": "poisoned",
    "chunker:dead_letter.produce": "garbage",
    "chunker-long:dead_letter.produce": "garbage",
    "speech-asr:dead_letter.produce": "crashing_asr",
    "speech-diarization:dead_letter.produce": "crashing_diarization",
    "documents.write": "whole",
    "marks.strike": "whole",
    "audio.expire": "old_recording",
    "audio.expired": "old_recording",
    "retention.produce": "old_transcript",
    "deadline.produce": "stalled",
    "orphan.delete": "left_behind",
}
CANCELLABLE = frozenset(
    {
        "batch.commit", "outbox.produce", "outbox.flush", "outbox.sent", "request.produce", "objects.delete",
        "objects.note",
    }
)  # fmt: skip
# Effects of which only an erasure has any.
FORGETTING = ("erasure.", "tombstone.", "tables.", "index.expunge", "rewrite.")
# What must go wrong first, so that the process comes to its crash point at all.
FIRST = {
    "key.lapse": "api:request.produce:failed:1",
    "acceptance.produce": "api:upload.produce:before:1",
    "chunker:tries.take_back": "chunker:chunk.produce:failed:1",
    "chunker-long:tries.take_back": "chunker-long:chunk.produce:failed:1",
}
# Met when a process starts.
STARTING = frozenset(
    {
        "claim.commit", "leftovers.commit", "recovery.commit", "resume.commit", "offsets.start", "tries.forget_old",
        "model.load", "versions.change",
    }
)  # fmt: skip
# Met when a projector starts and there is no index, but one that nobody knows.
WITHOUT_INDEX = frozenset({"index.create", "index.alias", "index.writers", "index.delete"})
CHILDREN = {
    "assembler-child": "assembler",
    "speech-asr-model": "speech-asr",
    "speech-diarization-model": "speech-diarization",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One fault at one site, and how to get there."""

    site: str
    kind: Kind
    journey: str
    first: str = ""

    @property
    def order(self) -> str:
        """What the process is told."""
        return f"{self.site}:{self.kind}:1"

    @property
    def effect(self) -> str:
        """The site without its process."""
        return self.site.partition(":")[2]

    @property
    def process(self) -> str:
        """The process that a supervisor starts again."""
        name = self.site.partition(":")[0]
        return CHILDREN.get(name, name)

    @property
    def long(self) -> bool:
        """Whether the uploads must be such as the ordinary chunkers leave alone."""
        return self.process == LONG


def cells(sites: Sequence[str]) -> list[Cell]:
    """Every site with every kind, processes by turns."""
    made = [_cell(site, kind, number) for site in sites for number, kind in enumerate(Kind)]
    processes = list(dict.fromkeys(cell.process for cell in made))
    by_process = [[cell for cell in made if cell.process == name] for name in processes]
    return [cell for cell in chain.from_iterable(zip_longest(*by_process)) if cell is not None]


def some(all_cells: Iterable[Cell], turn: int, each: int) -> list[Cell]:
    """The `turn`-th part of the cells that need no long upload, no lease to run out, no sweep and no missing index."""
    quick = [
        cell
        for cell in all_cells
        if not cell.long
        and cell.process != "api"
        and cell.effect not in WITHOUT_INDEX
        and cell.journey not in SWEEPING
        and not cell.first
    ]
    return [cell for number, cell in enumerate(quick) if number % each == turn % each]


def _cell(site: str, kind: Kind, number: int) -> Cell:
    effect = site.partition(":")[2]
    usual: tuple[str, ...] = WITHOUT_AUDIO if effect in CANCELLABLE else EVERYWHERE
    if effect.startswith(FORGETTING):
        usual = ("erased",)
    journey = JOURNEYS.get(site) or JOURNEYS.get(effect) or usual[(number + len(site)) % len(usual)]
    if site.startswith(LONG) and journey in EVERYWHERE:
        journey = "whole"
    return Cell(site=site, kind=kind, journey=journey, first=FIRST.get(site) or FIRST.get(effect) or "")
