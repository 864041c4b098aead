"""What a measuring client takes for a kept promise: the job is completed, and search finds it.

Not collected by itself: `make chaos-guards` runs it.
"""

import httpx
import pytest

from bench.load import Load
from tests.deadline import until
from tests.e2e.conftest import Pipeline

JOBS_PER_S = 5.0
KEPT_WITHIN_S = 90.0
pytestmark = pytest.mark.slow


def test_a_job_whose_documents_are_lost_is_not_kept_although_later_ones_are(stub_pipeline: Pipeline) -> None:
    load = Load(stub_pipeline.processes.api_url, stub_pipeline.new_key(), JOBS_PER_S)
    with load.running():
        until(lambda: len(load.promised) >= 3, KEPT_WITHIN_S, "three jobs are accepted")
    keys = list(load.promised)
    lost = load.promised[keys[0]]
    until(lambda: not load.unkept(keys), KEPT_WITHIN_S, "all jobs are kept")

    search = stub_pipeline.settings.opensearch
    url = f"{search.url}/{search.index_prefix}segments/_delete_by_query"
    gone = httpx.post(url, json={"query": {"term": {"job_id": lost}}}, params={"refresh": "true"}, timeout=30.0)
    assert gone.json()["deleted"] > 0
    load.found.clear()
    assert load.unkept(keys) == [lost]
