"""How long the search index is behind the view, in seconds.

In: marks of segments that wait, numbered as they are made. Out: the metric. A mark bears no time, so the last number
that was given out at a moment dates every mark before it; a restart begins to count anew. Knows no document.
"""

import time
from collections.abc import Sequence

from runtime.lag import OldestWaiting
from runtime.postgres import Connection, load_sql
from runtime.telemetry import projection_lag_seconds

PERIOD_S = 5.0
VIEW = "search"


class IndexLag:
    """Looks every few seconds when `look` is called often."""

    def __init__(self) -> None:
        self._sql = load_sql("projections.search")
        self._marks = OldestWaiting()
        self._looked_at = float("-inf")

    def look(self, conn: Connection, partitions: Sequence[int]) -> None:
        """Sets the metric for the marks of these partitions."""
        now_s = time.monotonic()
        if now_s - self._looked_at < PERIOD_S:
            return
        self._looked_at = now_s
        row = conn.execute(self._sql["oldest_mark"].encode(), {"partitions": list(partitions)}).fetchone()
        oldest, last = row if row else (None, 0)
        # Marks up to `last` exist; the first that waits is `oldest`.
        age_s = self._marks.age_s(now_s, last + 1, last + 1 if oldest is None else oldest)
        projection_lag_seconds.labels(VIEW).set(age_s)
