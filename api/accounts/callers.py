"""Who calls: the tenant comes from the credential and from nowhere else.

In: the `Authorization` or `X-API-Key` header. Out: a `Caller` on the connection, or a 401.
A key is looked up at most once in `CACHE_S` seconds, so a revoked one ends within five.
"""

import hmac
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from api.accounts.secrets import KeyText, parse_key
from runtime.errors import Refused
from runtime.postgres import Pool, borrowed, load_sql

CACHE_S = 3.0
CACHE_KEYS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An authenticated client; `actor` is who the events name."""

    tenant_id: str
    tier: str
    key_id: str

    @property
    def actor(self) -> str:
        return f"key:{self.key_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    caller: Caller
    secret_sha256: bytes
    until: float


class Callers:
    """Verifies keys, with a short memory."""

    def __init__(
        self, connections: Pool, required: Callable[[], Awaitable[None]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`required` raises Unavailable while the database is away."""
        self._connections = connections
        self._required = required
        self._clock = clock
        self._known: dict[str, _Known] = {}

    async def verify(self, text: str) -> Caller | None:
        """The owner of a key, None where it is not a live key."""
        key = parse_key(text)
        if key is None:
            return None
        known = self._known.get(key.key_id)
        if known is None or known.until < self._clock():
            known = await self._looked_up(key)
        if known is None or not hmac.compare_digest(known.secret_sha256, key.secret_sha256):
            return None
        return known.caller

    async def _looked_up(self, key: KeyText) -> _Known | None:
        # Asked for all at once: where the database hangs, a lookup of each caller's own would take each as long.
        await self._required()
        async with borrowed(self._connections) as conn:
            answer = await conn.execute(load_sql("api.accounts")["usable_key"].encode(), {"key_id": key.key_id})
            row = await answer.fetchone()
        if row is None:
            self._known.pop(key.key_id, None)
            return None
        if len(self._known) >= CACHE_KEYS:
            self._known.clear()
        caller = Caller(tenant_id=row[0], tier=row[1], key_id=key.key_id)
        known = _Known(caller=caller, secret_sha256=row[2], until=self._clock() + CACHE_S)
        self._known[key.key_id] = known
        return known


def credential(authorization: str | None, api_key: str | None) -> str:
    """The key that a client sent; raises Refused where it sent none."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    if api_key:
        return api_key.strip()
    raise Refused("not_authenticated", "Send an API key: `Authorization: Bearer pal_…`.")


async def authenticated(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Guard of every `/v1` route: runs before any part of the request is read."""
    headers = connection.headers
    text = credential(headers.get("authorization"), headers.get("x-api-key"))
    caller = await connection.app.state.services.callers.verify(text)
    if caller is None:
        raise Refused("not_authenticated", "This API key is not known, or no longer valid.")
    connection.scope["auth"] = caller
