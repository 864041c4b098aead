"""Opaque cursors of lists: where the next page begins, signed so that nobody can make one.

In: the tenant, the list's name and the sort values of the last item. Out: a token, and the values back.
A token of another tenant, another list or another filter does not verify.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

import msgspec

from runtime.errors import Refused

_SIGNATURE_BYTES = 16
_MAX_TOKEN_CHARS = 2_000

Values = Sequence[str | int | float | None]


class Cursors:
    """Writes and reads cursors with one secret."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def write(self, tenant_id: str, scope: str, values: Values) -> str:
        """A token for `values`; `scope` names the list with its filters."""
        payload = msgspec.json.encode(list(values))
        return _text(self._signature(tenant_id, scope, payload) + payload)

    def read(self, tenant_id: str, scope: str, token: str | None) -> list[str | int | float | None] | None:
        """The values of a token, None for none; raises Refused for a token that this server did not write here."""
        if token is None:
            return None
        data = _bytes(token)
        signature, payload = data[:_SIGNATURE_BYTES], data[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._signature(tenant_id, scope, payload)):
            raise _foreign()
        return msgspec.json.decode(payload, type=list[str | int | float | None])

    def _signature(self, tenant_id: str, scope: str, payload: bytes) -> bytes:
        text = msgspec.json.encode([tenant_id, scope]) + payload
        return hmac.digest(self._secret, text, hashlib.sha256)[:_SIGNATURE_BYTES]


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(token: str) -> bytes:
    if len(token) > _MAX_TOKEN_CHARS:
        raise _foreign()
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _foreign() from error


def _foreign() -> Refused:
    return Refused("bad_cursor", "This cursor was not written for this list; start again without it.")
