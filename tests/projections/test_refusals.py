"""A segment that the real search engine refuses: it is not found, nothing stale of it is, and others do not wait."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from copy import deepcopy
from typing import Any

import psycopg
import pytest

from projections.rebuilding import index_build
from projections.rebuilding.rebuild import at_work, rebuild
from projections.search.index import ALIAS, INDEX, index_body
from runtime.errors import Unavailable
from runtime.opensearch import Document, Refusal, SearchEngine
from runtime.settings import Settings
from schemas import records
from tests.deadline import until
from tests.e2e.processes import Processes
from tests.projections.facts import Job, segment
from tests.projections.log import Log, documents, indexed

PATIENCE_S = 120.0
# Lucene takes no term of more bytes.
IMMENSE = "x" * 32_767


def picky(ignore_above: int | None = None) -> dict[str, Any]:
    """The index with one field more, which takes a whole text as one term, or passes over long ones."""
    body = deepcopy(index_body())
    whole = {"type": "keyword"} if ignore_above is None else {"type": "keyword", "ignore_above": ignore_above}
    body["mappings"]["properties"]["text"]["fields"]["whole"] = whole
    return body


def texts(settings: Settings) -> Sequence[str]:
    """What can be found."""
    return sorted(body["text"] for body in documents(settings).values())


def refused(settings: Settings) -> Sequence[tuple[int, str, str]]:
    """Version of the index, segment and reason of each refusal."""
    with psycopg.connect(settings.postgres_dsn) as conn:
        return conn.execute("SELECT version, segment_id, reason FROM search_refused ORDER BY 1, 2").fetchall()


def test_a_refused_segment_holds_up_no_other_and_leaves_nothing_stale(
    log: Log, settings: Settings, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job(1)
    job.accepted()
    job.published([segment("s2-1", "the first"), segment("s2-2", "the second", 1_000)])
    log.write(job.facts)
    with closing(SearchEngine(settings.opensearch)) as engine:
        engine.create_index(INDEX, picky(), ALIAS)
        processes.start("projector")
        until(lambda: texts(settings) == ["the first", "the second"], PATIENCE_S, "both are found")

        job.fact(records.SegmentsRevised, removed=(), segments=(segment("s2-1", IMMENSE),))
        other = Job(2)
        other.accepted()
        other.published([segment("s2-1", "another job")])
        log.write([job.facts[-1], *other.facts])
        until(lambda: indexed(settings.postgres_dsn, 3), PATIENCE_S, "nothing waits")
        # What was refused is taken out after the rest went in: a reader may see one refresh between the two.
        until(lambda: texts(settings) == ["another job", "the second"], PATIENCE_S, "nothing stale is found")
        assert refused(settings) == [(1, "s2-1", "illegal_argument_exception")]
        assert _shown_of(engine, job) == {"s2-1": True, "s2-2": False}

        monkeypatch.setattr(index_build, "index_body", picky)
        with at_work(settings) as place:
            rebuild(place, ["search"], lambda _unit, _done, _total: None)
        assert texts(settings) == ["another job", "the second"]
        assert [version for version, _, _ in refused(settings)] == [1, 2]

        # Whatever it was refused for may be gone at the next start.
        processes.stop()
        mapping = {"properties": {"text": picky(ignore_above=100)["mappings"]["properties"]["text"]}}
        for index in ("segments_v1", "segments_v2"):
            engine._client.indices.put_mapping(index=engine.name(index), body=mapping)
        processes.start("projector")
        until(lambda: refused(settings) == [], PATIENCE_S, "it is taken")
        assert texts(settings) == ["another job", "the second", IMMENSE]


def _shown_of(engine: SearchEngine, job: Job) -> Mapping[str, bool]:
    """Whether a segment of a job is shown as gone."""
    hits = engine.search(ALIAS, {"query": {"term": {"job_id": job.job_id}}})["hits"]["hits"]
    return {hit["_source"]["segment_id"]: hit["_source"]["deleted"] for hit in hits}


def test_only_what_is_wrong_with_a_document_is_its_fault(settings: Settings) -> None:
    def made(text: str, **more: str) -> Document:
        names = {"tenant_id": "t", "job_id": "j", "segment_id": text[:3], "deleted": False}
        return Document(id=f"j/{text[:3]}", version=1, routing="t", body=names | {"text": text} | more)

    with closing(SearchEngine(settings.opensearch)) as engine:
        engine.create_index(INDEX, picky(), ALIAS)
        bad = made(IMMENSE)
        assert engine.write(ALIAS, [made("fox"), bad]) == [Refusal(id=bad.id, reason="illegal_argument_exception")]
        with pytest.raises(Unavailable, match="strict_dynamic_mapping_exception"):
            engine.write(ALIAS, [made("dog", colour="red")])  # the index is of another version
        engine.change_settings(INDEX, {"index.blocks.write": True})
        with pytest.raises(Unavailable, match="cluster_block_exception"):
            engine.write(ALIAS, [made("cow")])  # as when a disk is full
