"""Which sweeps run how often: the table of contents of `effects`.

In: a world. Out: loops that end only when cancelled or when something breaks that waiting does not mend.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from effects.cancellation import heed_cancellation
from effects.sweeps.acceptances import repeat_acceptances
from effects.sweeps.erasures import erase_again, erase_all, erase_recent
from effects.sweeps.nudges import nudge
from effects.sweeps.objects import sweep_all, sweep_lately, sweep_recent
from effects.sweeps.orphans import sweep_orphans
from effects.sweeps.retention import expire_audio, expire_transcripts
from effects.sweeps.rewriting import rewrite
from effects.sweeps.stalled import end_stalled
from effects.sweeps.versions import drop_versions
from effects.world import World
from runtime.errors import Unavailable
from runtime.health import Health
from runtime.telemetry import batch_seconds, logger

# A sweep that has to wait for something is tried again so soon, however rarely it is due otherwise.
RETRY_S = 30.0

log = logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Work that is done again and again; each run does what is due and may be repeated at any time."""

    name: str
    period_s: float
    run: Callable[[World], Awaitable[int]]


SWEEPS: tuple[Sweep, ...] = (
    Sweep(name="acceptances", period_s=5.0, run=repeat_acceptances),
    Sweep(name="objects", period_s=2.0, run=sweep_recent),
    Sweep(name="late_objects", period_s=60.0, run=sweep_lately),
    Sweep(name="old_objects", period_s=3600.0, run=sweep_all),
    Sweep(name="old_versions", period_s=3600.0, run=drop_versions),
    Sweep(name="stalled", period_s=60.0, run=end_stalled),
    Sweep(name="nudges", period_s=1.0, run=nudge),
    Sweep(name="erasures", period_s=2.0, run=erase_recent),
    Sweep(name="open_erasures", period_s=1.0, run=erase_again),
    Sweep(name="old_erasures", period_s=600.0, run=erase_all),
    Sweep(name="rewrites", period_s=2.0, run=rewrite),
    Sweep(name="orphans", period_s=3600.0, run=sweep_orphans),
    Sweep(name="old_audio", period_s=600.0, run=expire_audio),
    Sweep(name="old_transcripts", period_s=600.0, run=expire_transcripts),
)


async def run_all(world: World, health: Health, sweeps: tuple[Sweep, ...] = SWEEPS) -> None:
    """Every sweep in a loop of its own."""
    async with asyncio.TaskGroup() as group:
        for sweep in sweeps:
            group.create_task(_repeat(sweep, world, health))


async def _repeat(sweep: Sweep, world: World, health: Health) -> None:
    while True:
        pause_s = sweep.period_s
        try:
            with batch_seconds.labels(sweep.name).time():
                await sweep.run(world)
            health.moved()
        except Unavailable as error:
            log.warning("a sweep waits", action="sweep.wait", sweep=sweep.name, trouble=str(error))
            pause_s = min(pause_s, RETRY_S)
        heed_cancellation()
        await asyncio.sleep(pause_s)
