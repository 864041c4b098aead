"""Who speaks when, and quick questions about it.

In: turns of speakers, which may overlap. Out: overlaps with a span of time, and the speaker of a word.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One speaker without pause. `speaker` is an id of the job or a name that means nothing outside this assembly."""

    start_ms: int
    end_ms: int
    speaker: str


class TurnIndex:
    """Turns by time; a question costs what lies around its span."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self._turns = sorted(turns, key=lambda turn: (turn.start_ms, turn.end_ms, turn.speaker))
        self._starts = [turn.start_ms for turn in self._turns]
        self._longest_ms = max((turn.end_ms - turn.start_ms for turn in self._turns), default=0)

    def around(self, start_ms: int, end_ms: int) -> Iterator[Turn]:
        """Turns that touch a span."""
        first = bisect_left(self._starts, start_ms - self._longest_ms)
        for turn in self._turns[first:]:
            if turn.start_ms > end_ms:
                return
            if turn.end_ms >= start_ms:
                yield turn

    def overlaps(self, start_ms: int, end_ms: int) -> dict[str, int]:
        """Time each speaker talks in a span."""
        found: dict[str, int] = defaultdict(int)
        for turn in self.around(start_ms, end_ms):
            if (shared := min(turn.end_ms, end_ms) - max(turn.start_ms, start_ms)) > 0:
                found[turn.speaker] += shared
        return found

    def overlap(self, speaker: str | None, start_ms: int, end_ms: int) -> int:
        """Time one speaker talks in a span."""
        return self.overlaps(start_ms, end_ms).get(speaker or "", 0)

    def speaker(self, start_ms: int, end_ms: int, before: str | None, tolerance_ms: int) -> str | None:
        """Who says a word: the most overlap, on a tie who spoke before; else the nearest turn within tolerance."""
        shared = self.overlaps(start_ms, max(end_ms, start_ms + 1))
        if shared:
            return max(shared, key=lambda name: (shared[name], name == before, name))
        near = [
            (max(turn.start_ms - end_ms, start_ms - turn.end_ms), turn.speaker != before, turn.speaker)
            for turn in self.around(start_ms - tolerance_ms, end_ms + tolerance_ms)
        ]
        return min(near)[2] if near else None

    def overlapped(self, start_ms: int, end_ms: int) -> int:
        """Time in a span in which more than one speaker talks."""
        edges: list[tuple[int, int]] = []
        for turn in self.around(start_ms, end_ms):
            edges.append((max(turn.start_ms, start_ms), 1))
            edges.append((min(turn.end_ms, end_ms), -1))
        total = depth = since = 0
        for at, step in sorted(edges):
            if depth > 1:
                total += at - since
            depth += step
            since = at
        return total
