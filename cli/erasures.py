"""`palimpsest erasure-report`: what was erased of a job, where and when, and what is still to come.

In: settings and a job's id. Out: a table or JSON, and a status for scripts. Reads only.
"""

import argparse
import asyncio
import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from cli.connection import operator_settings
from cli.errors import CommandError, Exit
from cli.text import table
from effects.report import Place, Report, report


def run_report(arguments: argparse.Namespace) -> int:
    """0: all is gone but what goes by age; 1: a bound was broken; 6: something is still to come within its bound."""
    found = asyncio.run(report(operator_settings(os.environ), arguments.job))
    if found is None:
        raise CommandError(f"No erasure of a job {arguments.job} is known.", Exit.NOT_FOUND)
    now = datetime.now(UTC)
    print(json.dumps(_document(found, now), indent=2) if arguments.json else _text(found, now))
    if found.overdue(now):
        return Exit.FAILED
    return Exit.WAITING if found.waiting else Exit.DONE


def _state(place: Place, now: datetime) -> str:
    if not place.left:
        return "gone"
    return "OVERDUE" if place.overdue(now) else "to come"


def _document(found: Report, now: datetime) -> dict[str, Any]:
    places = [{**asdict(place), "state": _state(place, now).lower()} for place in found.places]
    whole = {**asdict(found), "places": places, "waiting": found.waiting, "overdue": found.overdue(now)}
    document: dict[str, Any] = json.loads(json.dumps(whole, default=lambda value: value.isoformat()))
    return document


def _text(found: Report, now: datetime) -> str:
    rows = [
        (place.name, _state(place, now), _time(place.done_at), _time(place.by), _told(place)) for place in found.places
    ]
    settled = f"settled {_time(found.settled_at)}" if found.settled_at else "not settled yet: it is looked for again"
    head = f"job {found.job_id}, erased {_time(found.erased_at)}, {settled}"
    return f"{head}\n{table(('PLACE', 'STATE', 'DONE', 'BY', 'SEEN'), rows)}"


def _told(place: Place) -> str:
    return "; ".join(part for part in (place.proven, place.done) if part)


def _time(moment: datetime | None) -> str:
    return moment.astimezone(UTC).isoformat(sep=" ", timespec="seconds")[:19] if moment else ""
