"""How often an upload was begun, in PostgreSQL: so that a file that kills its process is not tried for ever.

In: ids of UploadReceived events. Out: the count of tries, and whether the upload's plan is on its topic already.
A lost database raises Unavailable.
"""

from dataclasses import dataclass

from runtime.postgres import Pool, borrowed, load_sql

KEPT_DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A try, counted before it starts."""

    tries: int
    answered: bool


class Tries:
    """The table `chunker_tries`."""

    def __init__(self, connections: Pool) -> None:
        self._connections = connections
        self._sql = load_sql("streams.chunker")

    async def begin(self, event_id: str) -> Begun:
        """Counts one more try."""
        async with borrowed(self._connections, commit="tries.begin") as conn:
            cursor = await conn.execute(self._sql["begin"].encode(), {"event_id": event_id})
            row = await cursor.fetchone()
        assert row is not None
        return Begun(tries=row[0], answered=row[1])

    async def take_back(self, event_id: str) -> None:
        """The try ended for a reason that has nothing to do with the file."""
        await self._run("take_back", commit="tries.take_back", event_id=event_id)

    async def answered(self, event_id: str) -> None:
        """The plan or the refusal is on its topic."""
        await self._run("answered", commit="tries.answered", event_id=event_id)

    async def forget(self, event_id: str) -> None:
        """The upload is answered; should somebody send it again on purpose, it is tried again."""
        await self._run("forget", commit="tries.forget", event_id=event_id)

    async def forget_old(self) -> None:
        """Deletes what is older than any record of the upload topics."""
        await self._run("forget_old", commit="tries.forget_old", days=KEPT_DAYS)

    async def _run(self, name: str, *, commit: str, **values: str | int) -> None:
        async with borrowed(self._connections, commit=commit) as conn:
            await conn.execute(self._sql[name].encode(), values)
