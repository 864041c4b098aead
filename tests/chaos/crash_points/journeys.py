"""What clients do with a recording, from the upload on.

In: a careful client and an Idempotency-Key. Out: the id of the one job that came of it. Each journey is deterministic:
whoever makes it twice gets two histories that differ in ids and times only.
"""

from collections.abc import Callable, Mapping
from uuid import uuid4

import psycopg
from confluent_kafka import Producer

from schemas.identity import event_id
from schemas.records import UploadReceived
from tests.chaos.crash_points.caller import (
    LONG_BYTES,
    PATIENCE_S,
    REQUEST_TIMEOUT_S,
    SEVERAL_PARTS_BYTES,
    Caller,
    recording,
)
from tests.chaos.crash_points.sweeping import left_behind, old_recording, old_transcript, stalled
from tests.deadline import until

# A key whose first request died, so that its next one goes on under this request id.
_LAPSED_KEY = b"""
    INSERT INTO idempotency_keys (tenant_id, key, request_id, holder, leased_until) VALUES (%s, %s, %s, %s, '-infinity')
"""
_TRIED_OFTEN = b"INSERT INTO chunker_tries (event_id, tries) VALUES (%s, 3)"
CORRECTED = "corrected by hand"


def whole(caller: Caller, key: str) -> str:
    """Transcribed, corrected, a speaker named, judged."""
    return _finished(caller, caller.submit(key, caller.recording(12)), key)


def multipart(caller: Caller, key: str) -> str:
    """The same with an upload of several parts."""
    return _finished(caller, caller.submit(key, caller.recording(12, SEVERAL_PARTS_BYTES)), key)


def slow(caller: Caller, key: str) -> str:
    """The same with an upload that lasts longer than a part of the key's lease."""
    return _finished(caller, caller.submit(key, caller.recording(12, SEVERAL_PARTS_BYTES), slowly=True), key)


def mended(caller: Caller, key: str) -> str:
    """An upload whose options are senseless, which shows after its first part; then the same without them."""
    senseless = [
        ("file", ("recording.wav", caller.recording(12, SEVERAL_PARTS_BYTES))),
        ("num_speakers", (None, "many")),
    ]
    caller.ask("POST", "/transcriptions", {400, 422}, files=senseless, headers={"Idempotency-Key": key})
    return multipart(caller, key)


def _finished(caller: Caller, job_id: str, key: str) -> str:
    caller.ended(job_id, "completed")
    segment = caller.get(f"/transcriptions/{job_id}/segments")["items"][0]
    place = f"/transcriptions/{job_id}/segments/{segment['id']}"
    revision = f'"{segment["revision"]}"'
    caller.keyed("PATCH", place, {200, 202}, f"{key}-correct", {"text": CORRECTED}, If_Match=revision)
    until(lambda: caller.get(place)["text"] == CORRECTED, PATIENCE_S, "I14: the correction shows")
    speakers = f"/transcriptions/{job_id}/speakers"
    caller.keyed("PUT", f"{speakers}/spk1", {200, 202}, f"{key}-name", {"name": "Ada"})
    until(lambda: "Ada" in caller.ask("GET", speakers, {200}).text, PATIENCE_S, "the name shows")
    caller.keyed("POST", f"/transcriptions/{job_id}/feedback", {200, 202}, f"{key}-feedback", {"rating": 5})
    return job_id


def erased(caller: Caller, key: str) -> str:
    """Transcribed and forgotten."""
    job_id = caller.submit(key, caller.recording(12))
    caller.ended(job_id, "completed")
    return _erased(caller, job_id)


def _erased(caller: Caller, job_id: str) -> str:
    place = f"/transcriptions/{job_id}"
    caller.keyed("DELETE", place, {202, 204, 410}, f"{job_id}-erase")
    until(lambda: caller.ask("GET", place, {200, 410}).status_code == 410, PATIENCE_S, "the job is gone")
    return job_id


def gap(caller: Caller, key: str) -> str:
    """Of several chunks all but the first fail, which leaves a gap; a retry fills it."""
    job_id = caller.submit(key, caller.recording(45), vocabulary="stub:fail-round=0-from=1")
    assert caller.ended(job_id, "completed")["gaps"]
    caller.keyed("POST", f"/transcriptions/{job_id}/retry", {200, 202}, f"{key}-retry")

    def filled() -> bool:
        job = caller.get(f"/transcriptions/{job_id}")
        return job["status"] == "completed" and not job["gaps"]

    until(filled, PATIENCE_S, "the gap is filled")
    return job_id


def cancelled(caller: Caller, key: str) -> str:
    """Cancelled while its audio waits."""
    job_id = caller.submit(key, recording(1, LONG_BYTES))
    caller.keyed("POST", f"/transcriptions/{job_id}/cancel", {200, 202}, f"{key}-cancel")
    caller.ended(job_id, "cancelled")
    return job_id


def rejected(caller: Caller, key: str) -> str:
    """No recording at all."""
    job_id = caller.submit(key, b"This is no sound. " * (len(caller.recording(1)) // 18 + 1))
    caller.ended(job_id, "failed")
    return job_id


def crashing_asr(caller: Caller, key: str) -> str:
    """A recording that kills the transcribing model each time."""
    return _crashing(caller, key, "asr", "failed")


def crashing_diarization(caller: Caller, key: str) -> str:
    """A recording that kills the diarizing model each time: it has a transcript without speakers."""
    return _crashing(caller, key, "diarization", "completed")


def _crashing(caller: Caller, key: str, task: str, status: str) -> str:
    job_id = caller.submit(key, caller.recording(12), vocabulary=f"stub:crash-task={task}")
    caller.ended(job_id, status)
    return job_id


def poisoned(caller: Caller, key: str) -> str:
    """A recording at which three chunkers died already."""
    request_id = str(uuid4())
    with psycopg.connect(caller.server.settings.postgres_dsn) as conn:
        conn.execute(_LAPSED_KEY, (caller.server.tenant_id, key, request_id, request_id))
        conn.execute(_TRIED_OFTEN, (event_id(request_id, UploadReceived.__name__),))
    job_id = caller.submit(key, caller.recording(12))
    caller.ended(job_id, "failed")
    return job_id


def garbage(caller: Caller, key: str) -> str:
    """No client's doing: a record on the upload topic that nobody can read. It makes no job."""
    producer = Producer({"bootstrap.servers": caller.server.settings.kafka.bootstrap})
    producer.produce(caller.server.settings.kafka.topic(caller.upload_topic), b"no Avro", key, 0)
    producer.flush(REQUEST_TIMEOUT_S)
    return ""


Journey = Callable[[Caller, str], str]
JOURNEYS: Mapping[str, Journey] = {
    journey.__name__: journey
    for journey in (
        whole, multipart, slow, mended, erased, gap, cancelled, rejected, crashing_asr, crashing_diarization, poisoned,
        garbage, old_recording, old_transcript, stalled, left_behind,
    )
}  # fmt: skip
