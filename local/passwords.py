"""The passwords of one home: made on its first start, kept with its data, readable by its owner only.

In: a layout. Out: `Secrets`. Must not know who uses them.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import fields
from pathlib import Path

from local.engines.program import Secrets

PASSWORD_BYTES = 24


def ensure_secrets(file: Path) -> Secrets:
    """The home's passwords; those that are missing (all, on its first start) are made."""
    try:
        kept: dict[str, str] = json.loads(file.read_text())
    except FileNotFoundError:
        kept = {}
    wanted = [field.name for field in fields(Secrets)]
    passwords = {name: kept.get(name) or secrets.token_hex(PASSWORD_BYTES) for name in wanted}
    if passwords != kept:
        write_private(file, json.dumps(passwords))
    return Secrets(**passwords)


def write_private(file: Path, text: str) -> None:
    """Write a file that nobody but its owner can read at any moment."""
    file.parent.mkdir(parents=True, exist_ok=True)
    half = file.with_name(file.name + ".part")
    half.unlink(missing_ok=True)
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(text)
    os.replace(half, file)
