"""Waiting for a job: its events as they come, and asking again and again where events do not come through.

In: a client and a job. Out: the job once it has ended, and each state of it on the way.
Must not know how progress is shown.
"""

import time
from collections.abc import Callable

from cli.client import Client, Document, Unanswered
from cli.errors import CommandError

ENDED = frozenset({"completed", "failed", "cancelled"})
POLL_S = 1.0
# An outage of a few minutes is waited for: the work goes on without us.
AWAY_LIMIT_S = 300.0
_DONE = "done"


def follow(client: Client, job: Document, heard: Callable[[Document], None]) -> Document:
    """The job when it has ended; raises CommandError when the server stays away."""
    streaming, after, heard_at = True, "", time.monotonic()
    while True:
        heard(job)
        if job["status"] in ENDED:
            return job
        try:
            if streaming:
                after = _listen(client, job, after, heard)
        except Unanswered:
            pass  # the stream broke off: the next answer tells what was missed
        except CommandError:
            streaming = False  # a proxy that lets no event through: ask instead
        try:
            job = client.job(job["id"])
            heard_at = time.monotonic()
        except Unanswered:
            if time.monotonic() - heard_at > AWAY_LIMIT_S:
                raise
        if job["status"] not in ENDED:
            time.sleep(POLL_S)


def _listen(client: Client, job: Document, after: str, heard: Callable[[Document], None]) -> str:
    """Passes on what each event says of the job, until the stream ends; the id of the last one."""
    seen = dict(job)
    for event in client.events(job["id"], after):
        if event.kind == _DONE:
            break
        after = event.id or after
        seen.update({name: event.data[name] for name in ("status", "stage", "progress") if name in event.data})
        heard(seen)
        if seen["status"] in ENDED:
            break
    return after
