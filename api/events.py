"""`/v1/transcriptions/{id}/events`: what happens to a job, as server-sent events.

In: a job id and perhaps `Last-Event-ID`. Out: every fact of the job once and in order, read from the history, until the
job has ended. Notifications only say when to look; after a lost connection nothing is missed.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter
from litestar.response import ServerSentEvent, ServerSentEventMessage

from api.accounts.callers import Caller
from api.contract import problems
from api.jobs import job_shape
from api.refusals import invalid
from api.rendering import moment
from api.services import Services
from projections.history import queries as history
from projections.history.queries import HistoryLine
from runtime.errors import Refused
from runtime.postgres import borrowed

KEEP_ALIVE_S = 15.0
LOOK_AGAIN_S = 5.0
SPACING_S = 0.1
PAGE_LINES = 500
MAX_SEQ_DIGITS = 18
_ENDED = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What one reading found: new lines, and where the job is now."""

    lines: tuple[HistoryLine, ...]
    status: str
    stage: str
    progress: float

    @property
    def over(self) -> bool:
        return not self.lines and (self.status in _ENDED or self.status == "erased")


class _Feed:
    """The feed of one job for one client."""

    def __init__(self, services: Services, tenant_id: str, job_id: str, after_seq: int) -> None:
        self._services = services
        self._tenant_id = tenant_id
        self._job_id = job_id
        self.seq = after_seq

    async def look(self) -> _Look:
        """New lines; an erased job has none and is over."""
        try:
            async with borrowed(self._services.connections) as conn:
                lines = await history.since(conn, self._tenant_id, self._job_id, self.seq, PAGE_LINES)
                job = await job_shape(conn, self._tenant_id, self._job_id)
        except Refused as refusal:
            if refusal.code != "gone":
                raise
            return _Look(lines=(), status="erased", stage="done", progress=1.0)
        return _Look(lines=lines, status=job.status, stage=job.stage, progress=job.progress)

    async def messages(self, first: _Look) -> AsyncIterator[ServerSentEventMessage]:
        """Events until the job has ended, comments while nothing happens."""
        found, spoke_at = first, time.monotonic()
        outcomes, feeds = self._services.outcomes, self._services.feeds
        with feeds.place(self._tenant_id), outcomes.following() as happened:
            while not found.over:
                for line in found.lines:
                    self.seq = line.seq
                    yield _message(line, found)
                    spoke_at = time.monotonic()
                # After the last fact nothing more happens: whoever follows is told at once, not after a pause.
                if len(found.lines) < PAGE_LINES and found.status not in _ENDED:
                    await _pause(happened)
                if time.monotonic() - spoke_at > KEEP_ALIVE_S - LOOK_AGAIN_S:
                    yield ServerSentEventMessage(comment="still here", data=None)
                    spoke_at = time.monotonic()
                happened.clear()
                found = await self.look()
        yield ServerSentEventMessage(event="done", data=_json(status=found.status, seq=self.seq))


async def _pause(happened: asyncio.Event) -> None:
    """Until something happened anywhere, with a bound for what was said while nobody listened."""
    await asyncio.sleep(SPACING_S)
    try:
        async with asyncio.timeout(LOOK_AGAIN_S):
            await happened.wait()
    except TimeoutError:
        return


def _message(line: HistoryLine, found: _Look) -> ServerSentEventMessage:
    data = _json(
        seq=line.seq,
        kind=line.kind,
        occurred_at=moment(line.occurred_at_ms),
        actor=line.actor,
        status=found.status,
        stage=found.stage,
        progress=found.progress,
        code=line.code,
        message=line.message,
    )
    return ServerSentEventMessage(id=line.seq, event=line.kind, data=data)


def _json(**values: object) -> str:
    return msgspec.json.encode(values).decode()


def _seq(header: str | None) -> int:
    text = (header or "").strip()
    if not text:
        return 0
    # `isdigit` alone also takes "²", which is no number.
    if not (text.isascii() and text.isdigit()) or len(text) > MAX_SEQ_DIGITS:
        raise invalid("header", "Last-Event-ID", "Must be the id of an event of this feed.")
    return int(text)


@get(
    "/",
    operation_id="followTranscription",
    summary="Follow a transcription",
    media_type="text/event-stream",
    responses=problems("not_found", "gone"),
)
async def follow(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    job_id: FromPath[str],
    last_event_id: Annotated[str | None, HeaderParameter(name="Last-Event-ID")] = None,
) -> Response[Any]:
    """One event for each fact, then `done`; 204 to whoever comes back after the end, so that EventSource stops."""
    async with borrowed(services.connections) as conn:
        await job_shape(conn, caller.tenant_id, job_id)
    feed = _Feed(services, caller.tenant_id, job_id, _seq(last_event_id))
    services.feeds.check(caller.tenant_id)
    first = await feed.look()
    if first.over and last_event_id is not None:
        return Response(None, status_code=204)
    return ServerSentEvent(feed.messages(first))


router = Router("/transcriptions/{job_id:str}/events", route_handlers=[follow], tags=["transcriptions"])
