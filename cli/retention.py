"""`palimpsest retention set|show`: how long tenants keep recordings and transcripts.

In: settings, a tenant, days. Out: a row, or a table of them. Must not know what happens when the time is over.
"""

import argparse
import os

from cli.connection import operator_settings
from cli.errors import Exit
from cli.text import table
from effects.retention import Retention, all_retentions, set_retention


def run_set(arguments: argparse.Namespace) -> int:
    """Says what holds from now on."""
    wanted = Retention(
        tenant_id=arguments.tenant, audio_days=arguments.audio_days, transcript_days=arguments.transcript_days
    )
    set_retention(operator_settings(os.environ).postgres_dsn, wanted)
    print(f"{wanted.tenant_id}: recordings {_days(wanted.audio_days)}, transcripts {_days(wanted.transcript_days)}")
    return Exit.DONE


def run_show(arguments: argparse.Namespace) -> int:
    """0, also where there is none."""
    found = all_retentions(operator_settings(os.environ).postgres_dsn)
    rows = [(each.tenant_id, _days(each.audio_days), _days(each.transcript_days)) for each in found]
    print(table(("TENANT", "RECORDINGS", "TRANSCRIPTS"), rows) if rows else "every tenant keeps everything")
    return Exit.DONE


def _days(number: int | None) -> str:
    return "for ever" if number is None else f"{number} days"
