"""Feeds are counted by tenant and in all, and a place that is left is free again."""

import pytest

from api import feeds
from api.feeds import Feeds
from runtime.errors import Refused


def test_a_tenant_has_so_many_feeds_and_another_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "FEEDS_PER_TENANT", 1)
    open_feeds = Feeds()
    with open_feeds.place("acme"):
        with pytest.raises(Refused) as refused:
            open_feeds.check("acme")
        assert refused.value.code == "too_many_requests"
        open_feeds.check("umbrella")
    open_feeds.check("acme")


def test_a_process_has_so_many_feeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "FEEDS_AT_ONCE", 2)
    open_feeds = Feeds()
    with open_feeds.place("acme"), open_feeds.place("umbrella"):
        with pytest.raises(Refused) as refused:
            open_feeds.check("other")
        assert refused.value.code == "busy"
    open_feeds.check("other")
