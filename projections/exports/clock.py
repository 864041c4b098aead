"""Times as files write them.

In: ms. Out: hours, minutes, seconds. Knows no format but the mark before the milliseconds.
"""

_MS_PER_S = 1_000
_S_PER_MIN = 60


def precise(time_ms: int, mark: str) -> str:
    """`00:01:02.345`, with the mark before the milliseconds."""
    return f"{plain(time_ms)}{mark}{time_ms % _MS_PER_S:03d}"


def plain(time_ms: int) -> str:
    """`00:01:02`."""
    minutes, seconds = divmod(time_ms // _MS_PER_S, _S_PER_MIN)
    hours, minutes = divmod(minutes, _S_PER_MIN)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}"


def in_seconds(time_ms: int | None) -> float | None:
    """Seconds as a number."""
    return None if time_ms is None else time_ms / _MS_PER_S
