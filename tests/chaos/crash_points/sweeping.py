"""Journeys that end in a sweep for which time must pass: rows of the database are made older, and the sweep is awaited.

In: a careful client and an Idempotency-Key. Out: the id of the job. A sweep runs when its process starts, and then only
minutes later; so the process is killed again and again until the sweep has done its work.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

import psycopg

from runtime.objects import ObjectStore
from schemas.identity import event_id
from schemas.records import UploadReceived
from tests.chaos.crash_points.caller import PATIENCE_S, Caller
from tests.deadline import until

SWEEPER = "effects"
# From a start to the end of its first sweeps, on a busy machine.
SWEPT_WITHIN_S = 45.0
AUDIO_DAYS = 2
TRANSCRIPT_DAYS = 4
DAY_MS = 86_400_000
# One journey's sweep must not be killed for another's.
_TURN = threading.Lock()
_RETENTION = b"""
    INSERT INTO tenant_retention (tenant_id, audio_days, transcript_days) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING
"""
# A key whose first request died, so that its next one goes on under this request id.
_LAPSED_KEY = b"""
    INSERT INTO idempotency_keys (tenant_id, key, request_id, holder, leased_until) VALUES (%s, %s, %s, %s, '-infinity')
"""
_ANSWERED = b"INSERT INTO chunker_tries (event_id, tries, answered) VALUES (%s, 1, true)"
_ASKED_EARLIER = b"UPDATE job_request SET occurred_at = occurred_at - %s WHERE job_id = %s"
_TOUCHED_EARLIER = b"UPDATE job_touch SET occurred_at = occurred_at - %s WHERE job_id = %s"
_EXPIRED = b"SELECT 1 FROM audio_expiries WHERE job_id = %s"
_SETTLED = b"SELECT 1 FROM erasures WHERE job_id = %s AND settled_at IS NOT NULL"


def old_recording(caller: Caller, key: str) -> str:
    """Transcribed; then its recording is older than its tenant wants."""
    job_id = _aged(caller, key, AUDIO_DAYS + 1)
    _swept(caller, lambda: bool(_rows(caller, _EXPIRED, job_id)), "the recording has expired")
    assert not list(_objects(caller, job_id)), "I26: nothing is left of the recording"
    return job_id


def old_transcript(caller: Caller, key: str) -> str:
    """Transcribed; then its transcript is older than its tenant wants."""
    job_id = _aged(caller, key, TRANSCRIPT_DAYS + 1)
    place = f"/transcriptions/{job_id}"
    _swept(caller, lambda: caller.ask("GET", place, {200, 410}).status_code == 410, "the job is gone")
    return job_id


def stalled(caller: Caller, key: str) -> str:
    """A job whose chunks were never made, a while ago."""
    request_id = str(uuid4())
    _rows(caller, _LAPSED_KEY, caller.server.tenant_id, key, request_id, request_id)
    _rows(caller, _ANSWERED, event_id(request_id, UploadReceived.__name__))
    job_id = caller.submit(key, caller.recording(12))
    # No longer ago than that: a deadline from before the job was opened would not count.
    age_ms = caller.server.settings.limits.stalled_after_s * 1000
    until(lambda: _rows(caller, _TOUCHED_EARLIER, age_ms, job_id), PATIENCE_S, "the job is known")
    place = f"/transcriptions/{job_id}"
    _swept(caller, lambda: caller.get(place)["status"] == "failed", "I2: the job ends")
    return job_id


def left_behind(caller: Caller, key: str) -> str:
    """Erased; when that is long over, an object of it appears, as if whoever stored it had slept."""
    job_id = caller.submit(key, caller.recording(12))
    caller.ended(job_id, "completed")
    place = f"/transcriptions/{job_id}"
    caller.keyed("DELETE", place, {202, 204, 410}, f"{job_id}-erase")
    until(lambda: bool(_rows(caller, _SETTLED, job_id)), PATIENCE_S, "the erasure is settled")
    store = ObjectStore(caller.server.settings.objects)
    store.put(f"{caller.server.tenant_id}/{job_id}/evidence/late.bin", b"late")
    store.close()
    _swept(caller, lambda: not _objects(caller, job_id), "I26: the object is gone")
    return job_id


def _aged(caller: Caller, key: str, days: int) -> str:
    _rows(caller, _RETENTION, caller.server.tenant_id, AUDIO_DAYS, TRANSCRIPT_DAYS)
    job_id = caller.submit(key, caller.recording(12))
    caller.ended(job_id, "completed")
    assert _rows(caller, _ASKED_EARLIER, days * DAY_MS, job_id)
    return job_id


def _swept(caller: Caller, done: Callable[[], bool], what: str) -> None:
    """Has the sweeps begin anew until one has done it."""
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        with _TURN, suppress(AssertionError):
            caller.server.restart(SWEEPER)
            until(done, SWEPT_WITHIN_S, what)
            return
    raise AssertionError(f"no sweep did it: {what}")


def _objects(caller: Caller, job_id: str) -> list[str]:
    store = ObjectStore(caller.server.settings.objects)
    try:
        return list(store.keys(f"{caller.server.tenant_id}/{job_id}/"))
    finally:
        store.close()


def _rows(caller: Caller, statement: bytes, *values: Any) -> int:
    """Carries it out; how many rows it read or wrote."""
    with psycopg.connect(caller.server.settings.postgres_dsn) as conn:
        return conn.execute(statement, values).rowcount


SWEEPING = frozenset(journey.__name__ for journey in (old_recording, old_transcript, stalled, left_behind))
