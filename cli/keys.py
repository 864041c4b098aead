"""`palimpsest keys create|list|revoke`: who may call the API, managed beside it and without it.

In: settings, tenants and names. Out: a new key's text, once; tables of keys. Must not know how a key is checked.
"""

import argparse
import os
from datetime import datetime

from api.accounts.keys import create_key, list_keys, revoke_key
from cli.connection import operator_settings
from cli.errors import CommandError, Exit
from cli.text import table


def run_create(arguments: argparse.Namespace) -> int:
    """Prints the key alone, so that a script can take it."""
    print(create_key(operator_settings(os.environ).postgres_dsn, arguments.tenant, arguments.name))
    return 0


def run_list(arguments: argparse.Namespace) -> int:
    """0, also where there is none."""
    keys = list_keys(operator_settings(os.environ).postgres_dsn, arguments.tenant)
    if not keys:
        print(f"no keys of {arguments.tenant}")
        return 0
    rows = [(k.key_id, k.name, _day(k.created_at), _day(k.expires_at), _day(k.revoked_at)) for k in keys]
    print(table(("KEY", "NAME", "CREATED", "EXPIRES", "REVOKED"), rows))
    return 0


def run_revoke(arguments: argparse.Namespace) -> int:
    """Raises CommandError where there is no live key of that id."""
    if not revoke_key(operator_settings(os.environ).postgres_dsn, arguments.key_id):
        raise CommandError(f"There is no live key {arguments.key_id}.", Exit.NOT_FOUND)
    print(f"{arguments.key_id} ends within five seconds")
    return 0


def _day(time: datetime | None) -> str | None:
    return time.isoformat(sep=" ", timespec="minutes")[:16] if time else None
