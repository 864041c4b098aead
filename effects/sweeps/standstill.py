"""Whether a job stands still, or only waits for its turn.

In: an open job as the views show it, and since when each consumer group's oldest record waits. Out: a decision. Pure:
the sweep that carries it out is `stalled`.
A job stands still when it has not moved for a set time and every group that could move it has done whatever was
written while it still moved. As long as a lane has older work, the job may be behind it: a long queue, or workers that
are away, are no standstill. Only when its records have expired is there nothing left to wait for.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from schemas.identity import chunk_key, partition_for
from schemas.topics import (
    CHUNKS_BATCH,
    CHUNKS_INTERACTIVE,
    CONTROLS,
    CORRECTIONS,
    TRANSCRIPTIONS,
    TRANSCRIPTS,
    UPLOADS,
    UPLOADS_LONG,
    WORKING_RETENTION_MS,
)

# The groups that move a job, and what they read.
READERS: Mapping[str, tuple[str, ...]] = {
    "projector": (TRANSCRIPTS,),
    "assembler": (UPLOADS, UPLOADS_LONG, CONTROLS, TRANSCRIPTIONS, CORRECTIONS),
    "chunker": (UPLOADS,),
    "chunker-long": (UPLOADS_LONG,),
    "speech-asr": (CHUNKS_INTERACTIVE, CHUNKS_BATCH),
    "speech-diarization": (CHUNKS_INTERACTIVE, CHUNKS_BATCH),
}
# A group that is less behind counts as up to date.
CURRENT_MS = 60_000
# A job's work is written at most so long after the fact that led to it.
WRITTEN_WITHIN_MS = 60_000

Where = tuple[str, str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenJob:
    """A job under way; `open_chunks` are the planned ones that are not complete in its current round."""

    job_id: str
    tenant_id: str
    seq: int
    touched_at_ms: int
    prepared: bool
    diarize: bool
    open_chunks: tuple[int, ...] = ()


def stands_still(job: OpenJob, waiting: Mapping[Where, int], partitions: int, now_ms: int, after_ms: int) -> bool:
    """`waiting` gives, by group, topic and partition, when the oldest record that is not done was written."""
    if now_ms - job.touched_at_ms < after_ms:
        return False

    def done(places: Iterator[Where], until_ms: int) -> bool:
        return all(waiting.get(place, until_ms + 1) > until_ms for place in places)

    if not done(_judges(job, partitions), now_ms - CURRENT_MS):
        return False  # what we know of the job may be old
    if now_ms - job.touched_at_ms > WORKING_RETENTION_MS:
        return True
    return done(_workers(job, partitions), job.touched_at_ms + WRITTEN_WITHIN_MS)


def _judges(job: OpenJob, partitions: int) -> Iterator[Where]:
    """Who must be up to date before anything can be said."""
    partition = partition_for(job.job_id.encode(), partitions)
    for group in ("projector", "assembler"):
        yield from ((group, topic, partition) for topic in READERS[group])


def _workers(job: OpenJob, partitions: int) -> Iterator[Where]:
    """Where work of the job may wait."""
    if not job.prepared:
        partition = partition_for(job.job_id.encode(), partitions)
        yield ("chunker", UPLOADS, partition)
        yield ("chunker-long", UPLOADS_LONG, partition)
    groups = ("speech-asr", "speech-diarization") if job.diarize else ("speech-asr",)
    at = {partition_for(chunk_key(job.job_id, index), partitions) for index in job.open_chunks}
    for group in groups:
        yield from ((group, topic, partition) for topic in READERS[group] for partition in sorted(at))
