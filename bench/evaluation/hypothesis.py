"""What an engine made of a clip, in one form for all engines.

In and out: frozen records, which travel over a pipe and into JSON. Must not know an engine.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, process_time

KIB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundWord:
    """A word; its times are None where no aligner ran. The last two are said of its whole segment."""

    text: str
    start_s: float | None = None
    end_s: float | None = None
    confidence: float | None = None
    segment_confidence: float | None = None
    doubted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSegment:
    """A run of text said by one speaker."""

    text: str
    start_s: float
    speaker: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPassage:
    """Text that was decoded at once: what a loop would fill."""

    text: str
    language: str
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTurn:
    """One speaker without pause."""

    start_s: float
    end_s: float
    speaker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTime:
    """Seconds on the clock, and of processor time, that a stage took."""

    wall_s: float
    processor_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """An engine's answer to a clip; `turns` is None where no speakers were asked for."""

    language: str | None
    passages: tuple[FoundPassage, ...]
    segments: tuple[FoundSegment, ...]
    words: tuple[FoundWord, ...]
    turns: tuple[FoundTurn, ...] | None
    stages: Mapping[str, StageTime]
    peak_bytes: int = 0

    @property
    def text(self) -> str:
        """Everything that was said."""
        return " ".join(passage.text for passage in self.passages)


@dataclass(slots=True)
class Stopwatch:
    """Times of stages by name."""

    stages: dict[str, StageTime] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times what happens inside."""
        wall, processor = perf_counter(), process_time()
        yield
        self.stages[name] = StageTime(wall_s=perf_counter() - wall, processor_s=process_time() - processor)


def peak_bytes() -> int:
    """The most memory this process held at once."""
    # Not getrusage, whose figure includes what the parent held when it started us.
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * KIB
