"""Spans of time inside a chunk, in milliseconds.

In and out: plain numbers. Knows no model.
"""

from dataclasses import dataclass

from streams.speech.engines.protocol import SAMPLE_RATE_HZ

SAMPLES_PER_MS = SAMPLE_RATE_HZ // 1000


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Span:
    """From `start_ms` up to `end_ms`, counted from the first sample at hand."""

    start_ms: int
    end_ms: int

    @property
    def length_ms(self) -> int:
        return self.end_ms - self.start_ms

    def overlap(self, other: "Span") -> "Span":
        """What both hold; of negative length when they are apart."""
        return Span(
            start_ms=max(self.start_ms, other.start_ms),
            end_ms=min(self.end_ms, other.end_ms),
        )

    def shifted(self, by_ms: int) -> "Span":
        """The same span counted from `by_ms` earlier."""
        return Span(start_ms=self.start_ms + by_ms, end_ms=self.end_ms + by_ms)

    def samples(self) -> slice:
        """The samples of the span."""
        return slice(self.start_ms * SAMPLES_PER_MS, self.end_ms * SAMPLES_PER_MS)
