"""Spans: plain arithmetic in milliseconds."""

from streams.speech.engines.spans import Span


def test_overlap_is_what_both_hold() -> None:
    found = Span(start_ms=0, end_ms=500).overlap(Span(start_ms=300, end_ms=900))
    assert found == Span(start_ms=300, end_ms=500)


def test_overlap_of_spans_apart_has_no_length() -> None:
    assert Span(start_ms=0, end_ms=100).overlap(Span(start_ms=200, end_ms=300)).length_ms < 0


def test_samples_of_a_shifted_span() -> None:
    assert Span(start_ms=0, end_ms=10).shifted(5).samples() == slice(80, 240)
