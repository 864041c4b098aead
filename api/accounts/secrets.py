"""The form of API keys: `pal_<8 characters id>_<43 characters secret><6 characters checksum>`.

In: randomness, or what a client sent. Out: a new key, or the id and hash of one that is well formed.
The checksum lets scanners find leaked keys and lets us refuse mistyped ones without asking the database. Pure.
"""

import hashlib
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_CHARS = 8
_SECRET_CHARS = 43
_CHECKSUM_CHARS = 6
_FORM = re.compile(
    rf"pal_([0-9A-Za-z]{{{_ID_CHARS}}})_([0-9A-Za-z]{{{_SECRET_CHARS}}})([0-9A-Za-z]{{{_CHECKSUM_CHARS}}})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyText:
    """A key as it is shown to its owner once, with what is stored of it."""

    key_id: str
    text: str
    secret_sha256: bytes


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM_CHARS):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits


def _key(key_id: str, secret: str) -> KeyText:
    body = f"pal_{key_id}_{secret}"
    return KeyText(
        key_id=key_id,
        text=body + _checksum(body),
        secret_sha256=hashlib.sha256(secret.encode()).digest(),
    )


def new_key(choose: Callable[[str], str]) -> KeyText:
    """A key of characters that `choose` picks from an alphabet, normally `secrets.choice`."""
    key_id = "".join(choose(_ALPHABET) for _ in range(_ID_CHARS))
    return _key(key_id, "".join(choose(_ALPHABET) for _ in range(_SECRET_CHARS)))


def parse_key(text: str) -> KeyText | None:
    """The key in `text`, None where it is not one or its checksum is wrong."""
    form = _FORM.fullmatch(text)
    if form is None or _checksum(text[:-_CHECKSUM_CHARS]) != form[3]:
        return None
    return _key(form[1], form[2])
