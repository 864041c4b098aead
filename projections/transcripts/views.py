"""A transcript as clients see it.

In: nothing. Out: the types that queries answer with and exports render. Times are ms.
Knows no database, no HTTP and no format.
"""

from dataclasses import dataclass

from schemas.values import Gap, Word


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerView:
    """A speaker as they stand: merged ones are counted in the one that stays."""

    speaker_id: str
    label: str
    name: str | None
    speech_ms: int

    @property
    def display(self) -> str:
        """The name, or the label of a speaker without one."""
        return self.name or self.label


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentView:
    """A segment as it stands: speakers are resolved through merges, `speaker` is the name to show.

    `revision` is the seq of the fact that last wrote it. A word's place in `words` is its index.
    """

    segment_id: str
    revision: int
    start_ms: int
    end_ms: int
    text: str
    speaker_id: str | None
    speaker: str | None
    language: str | None
    confidence: float | None
    flags: tuple[str, ...]
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptCounts:
    """How much text there is now, corrections included."""

    segments: int = 0
    words: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentCursor:
    """The last segment of a page: the next one starts after it."""

    start_ms: int
    ordinal: int
    segment_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentPage:
    """Segments in reading order; `next` is None on the last page."""

    segments: tuple[SegmentView, ...]
    next: SegmentCursor | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptView:
    """A whole transcript. `version` is the greatest seq of any row it was built from."""

    job_id: str
    language: str | None
    duration_ms: int | None
    version: int
    speakers: tuple[SpeakerView, ...]
    segments: tuple[SegmentView, ...]
    gaps: tuple[Gap, ...]

    @property
    def text(self) -> str:
        """All segments' text, one to a line."""
        return "\n".join(segment.text for segment in self.segments)
