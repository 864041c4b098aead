"""Which of the engines answer: asked before a body is taken in, and watched for whoever runs this.

In: a cheap question for each engine. Out: yes or no, at most a second old, and Unavailable for whoever needs one that
is away. However many ask at once, one question is under way: a hanging engine costs one wait and not one for each.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from runtime.errors import Unavailable
from runtime.telemetry import engine_up, logger

FRESH_S = 1.0
FRESH_AWAY_S = 0.2  # one that is back is noticed at once
CHECK_TIMEOUT_S = 2.0
WATCH_PERIOD_S = 5.0

log = logger(__name__)
Question = Callable[[], Awaitable[bool]]


class Reach:
    """One engine."""

    def __init__(self, name: str, question: Question, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self._question = question
        self._clock = clock
        self._asking = asyncio.Lock()
        self._asked_at = float("-inf")
        self._answered = True

    async def answers(self) -> bool:
        """Whether it answered within the last second or answers now."""
        async with self._asking:
            if self._clock() - self._asked_at > (FRESH_S if self._answered else FRESH_AWAY_S):
                self._note(await self._ask())
                self._asked_at = self._clock()
        return self._answered

    async def require(self) -> None:
        """Raises Unavailable while it is away."""
        if not await self.answers():
            raise Unavailable(f"{self.name} does not answer")

    async def _ask(self) -> bool:
        """Any failure is an answer here: it is away."""
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                return await self._question()
        except Exception:  # why is for the log of whoever needs it; this only says that it is away
            return False

    def _note(self, answered: bool) -> None:
        if answered != self._answered:
            word = "is back" if answered else "is away"
            log.warning(f"an engine {word}", action="engine.up" if answered else "engine.away", engine=self.name)
        self._answered = answered
        engine_up.labels(self.name).set(answered)


class Engines:
    """All of them, by the names that metrics and `/ready` give them."""

    def __init__(self, questions: Mapping[str, Question]) -> None:
        self._all = {name: Reach(name, question) for name, question in questions.items()}

    async def require(self, *names: str) -> None:
        """Raises Unavailable when any of these is away."""
        await asyncio.gather(*(self._all[name].require() for name in names))

    async def answers(self) -> dict[str, bool]:
        """Each engine: true where it answers now."""
        found = await asyncio.gather(*(reach.answers() for reach in self._all.values()))
        return dict(zip(self._all, found, strict=True))

    async def watch(self) -> None:
        """Asks all of them now and then until cancelled, so that the metric is true while no client comes."""
        while True:
            await self.answers()
            await asyncio.sleep(WATCH_PERIOD_S)
