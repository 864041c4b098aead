"""How many clients follow jobs at once: each holds a connection, and reads the history whenever anything happens.

In: a tenant. Out: a place, or Refused.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from runtime.errors import Refused

FEEDS_AT_ONCE = 1_000
FEEDS_PER_TENANT = 100


class Feeds:
    """Who follows how many jobs in this process."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    @contextmanager
    def place(self, tenant_id: str) -> Iterator[None]:
        """Holds a place; to be asked for with `check` before anything is sent."""
        self._open[tenant_id] += 1
        try:
            yield
        finally:
            self._open[tenant_id] -= 1
            if not self._open[tenant_id]:
                del self._open[tenant_id]

    def check(self, tenant_id: str) -> None:
        """Raises Refused where no place is left."""
        if self._open[tenant_id] >= FEEDS_PER_TENANT:
            raise Refused("too_many_requests", f"At most {FEEDS_PER_TENANT} feeds may be open at once.")
        if self._open.total() >= FEEDS_AT_ONCE:
            raise Refused("busy", "As many feeds as this server keeps open at once are open.")
