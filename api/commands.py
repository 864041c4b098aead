"""Commands: append a request to the log, wait a moment for its outcome, answer.

In: a request record. Out: the fact that answers it, None when it did not come in time, or Refused with its code.
The API decides nothing: the assembler does, and says so in a fact whose `cause_id` is the request's event id.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypedDict, TypeVar

import msgspec
from litestar import Response

from api.accounts.callers import Caller
from api.outcomes import first_outcome
from api.requests.idempotency import Answer, Claim, bare_key, fingerprint, replayed
from api.services import Services
from api.shapes import Accepted
from projections.history import queries as history
from projections.history.queries import HistoryLine
from runtime.errors import Refused
from runtime.faults import crash_point
from runtime.postgres import borrowed
from schemas.identity import event_id
from schemas.records import ControlRecord, CorrectionRecord

OUTCOME_WAIT_S = 2.0
REFUSED = "RequestRefused"

S = TypeVar("S", bound=msgspec.Struct)


class Stamp(TypedDict):
    """What every request record carries."""

    event_id: str
    job_id: str
    tenant_id: str
    actor: str
    occurred_at: int
    cause_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who asks for what job, under which request id."""

    caller: Caller
    job_id: str
    request_id: str

    def stamp(self, kind: str) -> Stamp:
        """The envelope of this request's record of `kind`."""
        return Stamp(
            event_id=event_id(self.request_id, kind),
            job_id=self.job_id,
            tenant_id=self.caller.tenant_id,
            actor=self.caller.actor,
            occurred_at=time.time_ns() // 1_000_000,
            cause_id=self.request_id,
        )


async def submit(services: Services, record: ControlRecord | CorrectionRecord, topic: str) -> HistoryLine | None:
    """Appends and waits; raises Refused for a refusal, Unavailable where the broker did not take it."""
    out = await services.appender.encoded(record, topic)

    async def read() -> HistoryLine | None:
        async with borrowed(services.connections) as conn:
            return await history.outcome(conn, record.tenant_id, record.event_id)

    with services.outcomes.expecting(record.event_id) as event:
        with crash_point("request.produce"):
            await services.appender.send(out)
        event.set()  # a repeated request may have its outcome already
        found = await first_outcome(event, read, OUTCOME_WAIT_S)
    return granted(found)


def granted(outcome: HistoryLine | None) -> HistoryLine | None:
    """The outcome of a request, if there is one; raises Refused where it is a refusal."""
    if outcome is not None and outcome.kind == REFUSED:
        raise Refused(outcome.code or "conflict", outcome.message or "The request was refused.")
    return outcome


async def once(
    services: Services,
    caller: Caller,
    key_header: str | None,
    parts: tuple[object, ...],
    work: Callable[[str], Awaitable[Answer]],
) -> Answer:
    """Carries `work` out under a request id, or answers as before; `parts` are what makes requests the same."""
    claim = await services.idempotency.claim(caller.tenant_id, bare_key(key_header))
    if not isinstance(claim, Claim):
        return replayed(claim, fingerprint(*parts))
    try:
        answer = await work(claim.request_id)
        async with borrowed(services.connections, commit="key.settle") as conn:
            await services.idempotency.settle(conn, claim, fingerprint(*parts), str(parts[1]), answer)
    except Refused:
        await services.idempotency.release(claim)
        raise
    except BaseException:
        # The record may be in the log. Another one for the same request would take effect a second time.
        await asyncio.shield(services.idempotency.lapse(claim))
        raise
    return answer


def answer_of(status: int, body: msgspec.Struct, **headers: str) -> Answer:
    """An answer with a JSON body; header names are written with underscores."""
    return Answer(
        status=status,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        body=msgspec.json.encode(body),
    )


def pending(status_url: str, asked: Asked) -> Answer:
    """202: it is in the log, look here."""
    return answer_of(
        202, Accepted(status_url=status_url, request_id=asked.request_id), Location=status_url, Retry_After="1"
    )


def respond(answer: Answer, shape: type[S]) -> Response[S]:
    """The response of an answer; one that is still pending says so instead of its shape."""
    kind: type[msgspec.Struct] = shape
    if answer.status == 202 and b'"status_url"' in answer.body:
        kind = Accepted
    content = msgspec.json.decode(answer.body, type=kind)
    return Response(content, status_code=answer.status, headers=answer.headers)  # type: ignore[arg-type]  # 202 has another body
