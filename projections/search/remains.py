"""What the search index still shows of an erased job, so that it can be taken back.

In: an erased job. Out: marks for the indexer, which then overwrites the documents with ones without content.
Deleting them would be less: the engine forgets the versions of deleted documents after a minute, and then whoever wakes
late could write an old one again.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from psycopg import AsyncConnection

from projections.jobs.upkeep import ErasedJob
from projections.search.index import EVERY_VERSION
from runtime.opensearch import SearchEngine
from runtime.postgres import load_sql

PAGE = 1_000


def shown(engine: SearchEngine, job_id: str, tenant_id: str, limit: int = PAGE) -> Sequence[str]:
    """Segments of a job that have a document with content, in any version of the index."""
    wanted = {"term": {"job_id": job_id}}, {"term": {"deleted": False}}
    body = {"query": {"bool": {"filter": list(wanted)}}, "_source": ["segment_id"], "size": limit}
    hits = engine.search(EVERY_VERSION, body, tenant_id)["hits"]["hits"]
    return sorted({hit["_source"]["segment_id"] for hit in hits})


async def mark_shown(conn: AsyncConnection[Any], engine: SearchEngine, job: ErasedJob, partition: int) -> int:
    """Has the indexer look again at what is still shown; the number of documents, at most a page."""
    found = await asyncio.to_thread(shown, engine, job.job_id, job.tenant_id)
    if found:
        rows = [{"job_id": job.job_id, "segment_id": segment_id} for segment_id in found]
        values = {"rows": msgspec.json.encode(rows).decode(), "partition": partition}
        await conn.execute(load_sql("projections.search", "project.sql")["mark_segments"].encode(), values)
    return len(found)
