"""How long a batch may take before it counts as hanging.

In: batches that ended, with their audio and time. Out: a time limit for the next. Pure: the caller has the clock.
The limit follows what this worker has lately needed for as much audio, so that a chunk that hangs holds up the others
for seconds on any machine and with any model. A chunk that failed before gets more time at each try: what is merely
slow succeeds in the end. Only batches that ended teach anything; a hanging one would teach patience with hanging.
"""

from collections import deque

# A batch is given this many times what the slowest of the latest needed for as much audio.
SLACK = 4.0
# Each further try gets this many times the time of the one before.
PATIENCE = 4.0
REMEMBERED_BATCHES = 32
# Time per audio of less than this says more about the fixed cost of a batch than about audio.
LEAST_AUDIO_S = 5.0
# Seconds of work on a second of audio, while no batch has ended yet: a large model on a small machine.
UNKNOWN_COST = 0.5


class Pace:
    """What batches lately cost. `floor_s` is granted to each beside it; `ceiling_s` is the most."""

    def __init__(self, floor_s: float, ceiling_s: float) -> None:
        self._floor_s = floor_s
        self._ceiling_s = ceiling_s
        self._costs: deque[float] = deque(maxlen=REMEMBERED_BATCHES)

    def ended(self, audio_s: float, elapsed_s: float) -> None:
        """A batch was answered."""
        self._costs.append(elapsed_s / max(audio_s, LEAST_AUDIO_S))

    def limit_s(self, audio_s: float, tries: int) -> float:
        """How long a batch may take whose chunks were tried at most `tries` times before."""
        cost = max(self._costs, default=UNKNOWN_COST)
        usual_s = cost * max(audio_s, LEAST_AUDIO_S)
        return min(self._ceiling_s, self._floor_s + SLACK * usual_s * PATIENCE**tries)
