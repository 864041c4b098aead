"""How far a reader is behind, in records and in seconds of the oldest record that waits.

In: now and then, how far partitions reach and where their reader stands. Out: metrics, and what waits in all.
The broker tells offsets and no times, so an end that was seen at a moment dates every record before it; a restart
begins to count anew.
"""

from collections import deque
from collections.abc import Mapping
from itertools import islice

from runtime import telemetry
from runtime.kafka import Place

MAX_SAMPLES = 512


class OldestWaiting:
    """The ends of one partition, by the time when they were first seen; both only grow. Pure."""

    def __init__(self) -> None:
        self._ends: deque[tuple[float, int]] = deque()

    def age_s(self, now_s: float, end: int, following: int) -> float:
        """Age of the record at offset `following` when the partition ends at `end`; 0 where nothing waits."""
        if not self._ends or end > self._ends[-1][1]:
            self._ends.append((now_s, end))
        while self._ends and self._ends[0][1] <= following:
            self._ends.popleft()
        if len(self._ends) > MAX_SAMPLES:  # every other one: ages get coarser the longer something waits
            self._ends = deque(islice(self._ends, 0, None, 2))
        return now_s - self._ends[0][0] if self._ends else 0.0


class Lag:
    """The metrics of one reader's partitions."""

    def __init__(self) -> None:
        self._waiting: dict[Place, OldestWaiting] = {}
        self._topics: set[str] = set()

    def report(self, now_s: float, partitions: Mapping[Place, tuple[int, int]]) -> int:
        """Sets the metrics for the partitions that are ours now, by place: end and next offset; all that waits."""
        self._waiting = {place: self._waiting.get(place, OldestWaiting()) for place in partitions}
        self._topics |= {topic for topic, _ in partitions}
        oldest = dict.fromkeys(self._topics, 0.0)
        total = 0
        for place, (end, following) in partitions.items():
            topic, partition = place
            behind = max(0, end - following)
            telemetry.consumer_lag.labels(topic, str(partition)).set(behind)
            oldest[topic] = max(oldest[topic], self._waiting[place].age_s(now_s, end, following))
            total += behind
        for topic, age_s in oldest.items():
            telemetry.oldest_unprocessed_seconds.labels(topic).set(age_s)
        return total
