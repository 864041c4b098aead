"""One upload, from the first byte to the promise.

In: the parts of a body and who sends it. Out: the audio in the object store, the acceptance with the final bytes of
`UploadReceived` in PostgreSQL, the record in the log, and the answer. If the record does not reach the log now,
`effects` produces the very same bytes later: the acceptance is the promise.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

import msgspec

from api.accounts.callers import Caller
from api.commands import answer_of
from api.intake.body import Field, FileBegins, Part
from api.intake.names import clean_name
from api.intake.options import read_options
from api.intake.sinks import HashingSink, StoringSink
from api.jobs import existing_job
from api.rendering import accepted_job, job_path, options
from api.requests.acceptances import accept
from api.requests.idempotency import LEASE_S, Answer, Claim, Earlier, fingerprint, replayed
from api.services import Services
from api.shapes import Job
from projections.jobs import queries as jobs
from runtime.errors import Refused, Unavailable
from runtime.faults import crash_point
from runtime.postgres import borrowed
from runtime.telemetry import logger, uploads_refused
from schemas.identity import event_id, job_id_for
from schemas.records import UploadReceived
from schemas.topics import upload_topic
from schemas.values import Lane, StoredObject, TranscriptionOptions

OTHER_FIELDS = ("file_name",)
POLL_AFTER_S = 2
PREMIUM = "premium"
_RENEW_S = LEASE_S / 3

log = logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a body said beside its bytes."""

    file_name: str | None
    media_type: str | None
    options: TranscriptionOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A body to take in: its parts, the options that came beside it, and where a client would look for a mistake."""

    parts: AsyncIterator[Part]
    fields: list[tuple[str, str]]
    place: str


@contextmanager
def counted() -> Iterator[None]:
    """Counts why the upload inside got no promise."""
    try:
        yield
    except Refused as error:
        uploads_refused.labels(error.code).inc()
        raise
    except Unavailable:
        uploads_refused.labels("unavailable").inc()
        raise


async def take_in(body: Body, sink: HashingSink) -> Taken:
    """Feeds the file to `sink`. Options are checked before the file where they come before it, and all at the end."""
    file = FileBegins(file_name=None, media_type=None)
    async for part in body.parts:
        match part:
            case Field(name=name, value=value):
                body.fields.append((name, value))
            case FileBegins():
                read_options(body.fields, body.place, OTHER_FIELDS)
                file = part
            case bytes():
                await sink.write(part)
    named = next((value for name, value in body.fields if name == "file_name"), None)
    return Taken(
        file_name=clean_name(named) or file.file_name,
        media_type=file.media_type,
        options=read_options(body.fields, body.place, OTHER_FIELDS),
    )


class Intake:
    """One upload of one caller."""

    def __init__(self, services: Services, caller: Caller, body: Body) -> None:
        self._services = services
        self._caller = caller
        self._body = body

    async def answer(self, key: str | None) -> Answer:
        """Carries the upload out, or repeats the answer that the key had before."""
        services, tenant = self._services, self._caller.tenant_id
        await services.require_uploads()
        claim = await services.idempotency.claim(tenant, key)
        if isinstance(claim, Earlier):
            return await self._repeated(claim)
        done = False
        try:
            answer = await self._first(claim)
            done = True
        finally:
            if not done:
                await asyncio.shield(services.idempotency.release(claim))
        return answer

    async def _repeated(self, earlier: Earlier) -> Answer:
        """Reads the body only to compare it."""
        sink = HashingSink(self._services.limits.max_upload_bytes)
        taken = await take_in(self._body, sink)
        return replayed(earlier, _print(taken.options, sink.sha256()))

    async def _first(self, claim: Claim) -> Answer:
        tenant = self._caller.tenant_id
        if claim.key is None:
            return await self._stored(claim, str(uuid4()))
        job_id = job_id_for(tenant, claim.key)
        async with borrowed(self._services.connections) as conn:
            existing = await existing_job(conn, tenant, job_id)
        if existing is not None:
            return await self._long_ago(existing)
        return await self._stored(claim, job_id)

    async def _long_ago(self, job: Job) -> Answer:
        """The key's answer has expired, its job has not: the job answers for it."""
        sink = HashingSink(self._services.limits.max_upload_bytes)
        taken = await take_in(self._body, sink)
        if (sink.sha256(), options(taken.options)) != (job.sha256, job.options):
            raise Refused("key_reused", "This Idempotency-Key was used for a request with another content.")
        return _accepted(job)

    async def _stored(self, claim: Claim, job_id: str) -> Answer:
        services = self._services
        if services.uploads.locked():
            raise Refused("busy", "As many uploads as this server takes at once are running.")
        async with services.uploads:
            key = f"{self._caller.tenant_id}/{job_id}/audio"
            lease = _Lease(services, claim)
            sink = StoringSink(services.objects, key, services.limits.max_upload_bytes, lease.keep)
            done = False
            try:
                taken = await take_in(self._body, sink)
                audio = await sink.finish()
                done = True
            finally:
                if not done:
                    await asyncio.shield(sink.abort())
        return await self._promised(claim, job_id, taken, audio)

    async def _promised(self, claim: Claim, job_id: str, taken: Taken, audio: StoredObject) -> Answer:
        services = self._services
        upload = await self._record(claim, job_id, taken, audio)
        out = await services.appender.encoded(upload, upload_topic(audio.size_bytes))
        answer = _accepted(accepted_job(upload))
        async with borrowed(services.connections, commit="acceptance.commit") as conn:
            if not await accept(conn, upload, out):
                raise Refused("key_in_flight", "Another request with this Idempotency-Key was quicker.")
            await services.idempotency.settle(conn, claim, _print(taken.options, audio.sha256), job_id, answer)
        log.info("accepted an upload", action="upload.accepted", job_id=job_id, size_bytes=audio.size_bytes)
        try:
            with crash_point("upload.produce"):
                await services.appender.send(out)
        except Unavailable as error:
            log.warning("will be produced later", action="upload.later", job_id=job_id, trouble=str(error))
        return answer

    async def _record(self, claim: Claim, job_id: str, taken: Taken, audio: StoredObject) -> UploadReceived:
        return UploadReceived(
            event_id=event_id(claim.request_id, UploadReceived.__name__),
            job_id=job_id,
            tenant_id=self._caller.tenant_id,
            actor=self._caller.actor,
            occurred_at=time.time_ns() // 1_000_000,
            cause_id=claim.request_id,
            audio=audio,
            file_name=taken.file_name,
            media_type=taken.media_type,
            options=taken.options,
            lane=await self._lane(),
        )

    async def _lane(self) -> Lane:
        """Batch for a tenant whose open jobs hold more than its interactive share; premium tenants have none."""
        if self._caller.tier == PREMIUM:
            return Lane.INTERACTIVE
        async with borrowed(self._services.connections) as conn:
            minutes = await jobs.outstanding_minutes(conn, self._caller.tenant_id)
        over = minutes > self._services.limits.tenant_interactive_minutes
        return Lane.BATCH if over else Lane.INTERACTIVE


class _Lease:
    """Holds a claim while bytes arrive, without asking the database for every part."""

    def __init__(self, services: Services, claim: Claim) -> None:
        self._services = services
        self._claim = claim
        self._renewed_at = time.monotonic()

    async def keep(self) -> None:
        """Renews when a third of the lease is over; raises Refused where it was lost."""
        if time.monotonic() - self._renewed_at > _RENEW_S:
            await self._services.idempotency.renew(self._claim)
            self._renewed_at = time.monotonic()


def _print(given: TranscriptionOptions, sha256: str) -> str:
    return fingerprint("POST", "/v1/transcriptions", msgspec.to_builtins(given), sha256)


def _accepted(job: Job) -> Answer:
    return answer_of(202, job, Location=job_path(job.id), Retry_After=str(POLL_AFTER_S))
