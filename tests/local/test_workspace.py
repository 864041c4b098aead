"""A workspace is whole while it lasts and gone afterwards."""

import httpx
import psycopg
import pytest
from confluent_kafka.admin import AdminClient

from local.stack import Stack
from local.workspace import fresh_workspace
from runtime.objects import ObjectStore
from runtime.postgres import check_schema, connection
from runtime.settings import Settings
from schemas.topics import TOPICS


def test_a_workspace_is_whole_and_then_gone(stack: Stack) -> None:
    with fresh_workspace(stack.shared_settings()) as values:
        settings = Settings.read(values)
        admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap})
        wanted = {settings.kafka.topic(topic.name) for topic in TOPICS}
        assert wanted <= set(admin.list_topics(timeout=10).topics)
        with connection(settings.postgres_dsn) as conn:
            check_schema(conn)
        store = ObjectStore(settings.objects)
        store.put("kept/nothing", b"x")
        index = settings.opensearch.index_prefix + "a"
        httpx.put(f"{settings.opensearch.url}/{index}", timeout=30).raise_for_status()
    assert not wanted & set(admin.list_topics(timeout=10).topics)
    assert list(store.keys("")) == []
    assert httpx.head(f"{settings.opensearch.url}/{index}", timeout=30).status_code == 404
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(settings.postgres_dsn)


def test_two_workspaces_share_no_name(stack: Stack) -> None:
    shared = stack.shared_settings()
    with fresh_workspace(shared) as one, fresh_workspace(shared) as two:
        named = ("TOPIC_PREFIX", "INDEX_PREFIX", "S3_BUCKET", "POSTGRES_DSN")
        assert all(one[f"PALIMPSEST_{name}"] != two[f"PALIMPSEST_{name}"] for name in named)
