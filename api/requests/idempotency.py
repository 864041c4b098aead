"""Idempotency-Key: the same request twice is carried out once and answered the same.

In: a tenant's key, and the fingerprint of what was asked. Out: a claim to carry it out, or the earlier answer.
A claim is a lease: whoever dies holding one loses it after `LEASE_S`, and the next attempt carries on with the same
request id, so that it can only repeat the same record.
"""

import hashlib
from dataclasses import dataclass
from uuid import uuid4

import msgspec
from psycopg.types.json import Jsonb

from api.tracing import request_id
from projections.jobs.queries import is_erased
from runtime.errors import Refused
from runtime.postgres import AsyncConnection, Pool, borrowed, load_sql
from runtime.telemetry import idempotent_replays

LEASE_S = 60
EXPIRY_S = 24 * 3600
MAX_KEY_CHARS = 255
_ERASED_STATUS = 410
_SQL = "api.requests"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A response as it is kept: the same bytes go out each time."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to carry a request out; `key` is None where the client sent none."""

    tenant_id: str
    key: str | None
    request_id: str
    holder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """The key was used before, and this was the answer to what had this fingerprint."""

    fingerprint: str
    answer: Answer


def bare_key(header: str | None) -> str | None:
    """The key in an Idempotency-Key header, with or without the quotes of a structured-field string."""
    if header is None:
        return None
    text = header.strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    if not text or len(text) > MAX_KEY_CHARS or not text.isprintable():
        raise Refused(
            "invalid_request",
            f"Idempotency-Key must be 1 to {MAX_KEY_CHARS} printable characters.",
        )
    return text


def fingerprint(*parts: object) -> str:
    """What makes two requests the same: method, path, options and content, not the file's name."""
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


class Idempotency:
    """The keys of all tenants."""

    def __init__(self, connections: Pool) -> None:
        self._connections = connections
        self._sql = load_sql(_SQL)

    async def claim(self, tenant_id: str, key: str | None) -> Claim | Earlier:
        """A claim, or what was answered earlier; raises Refused while the first request is in flight."""
        # What the answer's X-Request-Id names is what its facts name as their cause.
        identity = request_id.get() or str(uuid4())
        new = Claim(tenant_id=tenant_id, key=key, request_id=identity, holder=str(uuid4()))
        if key is None:
            return new
        values = {"tenant_id": tenant_id, "key": key, "lease_s": LEASE_S}
        async with borrowed(self._connections, commit="key.claim") as conn:
            answer = await conn.execute(
                self._sql["claim_key"].encode(),
                values | {"request_id": new.request_id, "holder": new.holder},
            )
            if row := await answer.fetchone():
                return Claim(tenant_id=tenant_id, key=key, request_id=row[0], holder=new.holder)
            return await self._earlier(conn, values)

    async def _earlier(self, conn: AsyncConnection, values: dict[str, object]) -> Earlier:
        state = await (await conn.execute(self._sql["key_state"].encode(), values)).fetchone()
        if state is None or state[1] is None:
            raise Refused("key_in_flight", "A request with this Idempotency-Key is still running.")
        # The views know of an erasure at once; that the kept answer goes, too, may take a minute.
        if state[1] == _ERASED_STATUS or await is_erased(conn, str(values["tenant_id"]), state[4]):
            raise Refused("gone", "The job that this Idempotency-Key named was erased.")
        return Earlier(
            fingerprint=state[0],
            answer=Answer(status=state[1], headers=state[2], body=bytes(state[3])),
        )

    async def renew(self, claim: Claim) -> None:
        """Holds the claim for another lease; raises Refused where another request has taken it over."""
        await self._held(claim, "renew_key", {"lease_s": LEASE_S}, commit="key.renew")

    async def release(self, claim: Claim) -> None:
        """Gives the key back: nothing was done under it."""
        await self._given_up(claim, "release_key", commit="key.release")

    async def lapse(self, claim: Claim) -> None:
        """Ends the lease: something may have been done under it, so that the next attempt must repeat it."""
        await self._given_up(claim, "lapse_key", commit="key.lapse")

    async def _given_up(self, claim: Claim, name: str, *, commit: str) -> None:
        if claim.key is not None:
            async with borrowed(self._connections, commit=commit) as conn:
                await conn.execute(self._sql[name].encode(), _of(claim))

    async def settle(self, conn: AsyncConnection, claim: Claim, print_: str, job_id: str, answer: Answer) -> None:
        """Keeps the answer, in the caller's transaction; raises Refused where the claim was lost."""
        if claim.key is None:
            return
        done = await conn.execute(
            self._sql["settle_key"].encode(),
            _of(claim)
            | {
                "fingerprint": print_,
                "job_id": job_id,
                "status": answer.status,
                "headers": Jsonb(answer.headers),
                "body": answer.body,
            },
        )
        if done.rowcount != 1:
            raise _taken_over()

    async def _held(self, claim: Claim, name: str, values: dict[str, object], *, commit: str) -> None:
        if claim.key is None:
            return
        async with borrowed(self._connections, commit=commit) as conn:
            done = await conn.execute(self._sql[name].encode(), _of(claim) | values)
        if done.rowcount != 1:
            raise _taken_over()


def replayed(earlier: Earlier, print_: str) -> Answer:
    """The earlier answer; raises Refused where it was an answer to something else."""
    if earlier.fingerprint != print_:
        raise Refused("key_reused", "This Idempotency-Key was used for a request with another content.")
    idempotent_replays.inc()
    return Answer(
        status=earlier.answer.status,
        headers=earlier.answer.headers | {"Idempotency-Replayed": "true"},
        body=earlier.answer.body,
    )


def _of(claim: Claim) -> dict[str, object]:
    return {"tenant_id": claim.tenant_id, "key": claim.key, "holder": claim.holder}


def _taken_over() -> Refused:
    return Refused("key_in_flight", "Another request with this Idempotency-Key has taken over.")
