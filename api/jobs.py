"""Jobs as a tenant may see them: the views, and before them the acceptances.

In: a connection, a tenant, a job id. Out: the job's shape; raises Refused `not_found` for what is unknown or somebody
else's, `gone` for what the tenant erased.
"""

from api import rendering
from api.requests import acceptances
from api.shapes import Job
from effects.retention import audio_expired
from projections.jobs import queries
from projections.jobs.queries import JobCursor, JobView
from runtime.errors import Refused
from runtime.postgres import AsyncConnection
from schemas.identity import is_job_id
from schemas.records import UploadReceived


async def known_job(conn: AsyncConnection, tenant_id: str, job_id: str) -> JobView | None:
    """The job's view, None while only its acceptance is there; raises Refused where there is neither."""
    found = await _found(conn, tenant_id, job_id)
    return found if isinstance(found, JobView) else None


async def job_shape(conn: AsyncConnection, tenant_id: str, job_id: str) -> Job:
    """The job as a client sees it."""
    found = await _found(conn, tenant_id, job_id)
    if not isinstance(found, JobView):
        return rendering.accepted_job(found)
    expired = await audio_expired(conn, [job_id])
    return rendering.job(found, expired.get(job_id))


async def _found(conn: AsyncConnection, tenant_id: str, job_id: str) -> JobView | UploadReceived:
    if not is_job_id(job_id):
        raise Refused("not_found", "There is no such transcription.")
    if view := await queries.get_job(conn, tenant_id, job_id):
        return view
    if await queries.is_erased(conn, tenant_id, job_id):
        raise Refused("gone", "This transcription was erased.")
    if upload := await acceptances.accepted(conn, tenant_id, job_id):
        return upload
    raise Refused("not_found", "There is no such transcription.")


async def existing_job(conn: AsyncConnection, tenant_id: str, job_id: str) -> Job | None:
    """The same for a job that need not exist."""
    try:
        return await job_shape(conn, tenant_id, job_id)
    except Refused as refusal:
        if refusal.code == "not_found":
            return None
        raise


async def page_of_jobs(
    conn: AsyncConnection, tenant_id: str, limit: int, after: JobCursor | None, status: str | None
) -> tuple[tuple[Job, ...], JobCursor | None]:
    """A page, newest first, with what was accepted just now; the place where the next page begins."""
    page = await queries.list_jobs(conn, tenant_id, limit=limit, after=after, status=status)
    expired = await audio_expired(conn, [view.job_id for view in page.jobs])
    shown = {view.job_id: (view.created_at_ms, rendering.job(view, expired.get(view.job_id))) for view in page.jobs}
    if status in (None, "queued"):
        before = (after.created_at_ms, after.job_id) if after else None
        for upload in await acceptances.accepted_page(conn, tenant_id, before, limit + 1):
            if upload.job_id not in shown and not await _in_view(conn, tenant_id, upload.job_id):
                shown[upload.job_id] = (upload.occurred_at, rendering.accepted_job(upload))
    ordered = sorted(shown.items(), key=lambda item: (item[1][0], item[0]), reverse=True)
    kept = ordered[:limit]
    more = page.next is not None or len(ordered) > limit
    last = JobCursor(created_at_ms=kept[-1][1][0], job_id=kept[-1][0]) if kept and more else None
    return tuple(job for _, (_, job) in kept), last


async def _in_view(conn: AsyncConnection, tenant_id: str, job_id: str) -> bool:
    """Whether the views know the job, as it is or as an erased one."""
    found = await queries.get_job(conn, tenant_id, job_id)
    return found is not None or await queries.is_erased(conn, tenant_id, job_id)
