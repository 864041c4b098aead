"""The end of the indexer: an engine that hangs does not keep its process."""

import threading
from typing import cast

import pytest

from projections.search.indexer import Indexer
from runtime.opensearch import SearchEngine

TEST_LIMIT_S = 60.0


def test_a_batch_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, released, stopped = threading.Event(), threading.Event(), threading.Event()

    def hang(_: Indexer) -> None:
        begun.set()
        released.wait(TEST_LIMIT_S)

    def stop(indexer: Indexer) -> None:
        indexer.stop()
        stopped.set()

    monkeypatch.setattr(Indexer, "_run", hang)
    monkeypatch.setattr("projections.search.indexer.STOP_TIMEOUT_S", 0.1)
    indexer = Indexer(cast(SearchEngine, None), "nowhere")
    indexer.start()
    assert begun.wait(TEST_LIMIT_S)
    threading.Thread(target=stop, args=(indexer,), daemon=True).start()
    assert stopped.wait(TEST_LIMIT_S / 2)
    assert not released.is_set()
    released.set()
