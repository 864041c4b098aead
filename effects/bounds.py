"""By when what an erasure forgot is gone, place by place.

In: settings of the log and of `effects`. Out: seconds after the erasure. Pure; the reasons are in docs/guarantees.md.
"""

from collections.abc import Mapping

from schemas.topics import DEAD_LETTER_RETENTION_MS, SEGMENT_MS, WORKING_RETENTION_MS

VIEWS_S = 60.0
OBJECTS_S = 60.0
SMALL_STORES_S = 120.0
# How long a rewrite of large stores, or a pass of the broker's cleaner over a partition, may take.
LARGE_WORK_S = 3_600.0
CLEANING_S = 300.0
# The broker's own setting `log.cleaner.backoff.ms`; its default, which is more than ours.
CLEANER_BACKOFF_S = 15.0
WORKING_TOPICS_S = (WORKING_RETENTION_MS + SEGMENT_MS) / 1000
DEAD_LETTERS_S = (DEAD_LETTER_RETENTION_MS + SEGMENT_MS) / 1000


def log_s(topic: Mapping[str, str], nudge_period_s: int) -> float:
    """Until compaction takes a value under a tombstone: a nudge rolls its segment, which is cleaned when old enough."""
    segment_s, lag_s, delay_s = (
        int(topic[name]) / 1000 for name in ("segment.ms", "max.compaction.lag.ms", "file.delete.delay.ms")
    )
    rolled_s = min(segment_s, lag_s) + nudge_period_s
    return max(rolled_s, lag_s) + CLEANER_BACKOFF_S + delay_s + CLEANING_S


def large_stores_s(rewrite_period_s: int) -> float:
    """A large table or index is rewritten once in a period."""
    return rewrite_period_s + LARGE_WORK_S
