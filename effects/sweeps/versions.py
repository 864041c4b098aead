"""Versions of views that nobody reads go after a day: the way back of a rebuild, and what an interrupted one has made.

In: the table of versions. Out: fewer tables and indices.
"""

import asyncio

from effects.world import World
from projections.rebuilding.rebuild import drop_left

KEPT_S = 86_400.0


async def drop_versions(world: World) -> int:
    """How many went."""
    return await asyncio.to_thread(drop_left, world.settings, KEPT_S)
