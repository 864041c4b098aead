"""The lean way to small objects agrees with the ordinary one, errors included."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from runtime.errors import ObjectMissing, Unavailable
from runtime.objects import ObjectStore, SmallObjects
from runtime.settings import ObjectStore as StoreSettings
from runtime.settings import Settings

ODD_KEY = "tenant 1/jöb+ä/00001-x~y.flac"


@pytest.fixture
def settings(workspace: Mapping[str, str]) -> Settings:
    return Settings.read(workspace)


@pytest.mark.parametrize("key", ["a/b", ODD_KEY])
def test_both_ways_see_the_same_objects(settings: Settings, key: str) -> None:
    store, small = ObjectStore(settings.objects), SmallObjects(settings.objects)
    small.put(key, b"lean")
    assert store.get(key) == b"lean"
    store.put(key, b"ordinary")
    assert small.get(key) == b"ordinary"


def test_a_missing_object_is_named_as_missing(settings: Settings) -> None:
    with pytest.raises(ObjectMissing, match="nothing/here"):
        SmallObjects(settings.objects).get("nothing/here")


def test_an_absent_store_is_unavailable(settings: Settings) -> None:
    with pytest.raises(Unavailable):
        SmallObjects(replace(settings.objects, endpoint="http://127.0.0.1:1")).get("a")


def test_a_wrong_secret_is_unavailable(settings: Settings) -> None:
    with pytest.raises(Unavailable, match="403"):
        SmallObjects(replace(settings.objects, secret_key="wrong")).get("a")


class _Archive(BaseHTTPRequestHandler):
    """Answers as S3 does for an object that a rule of the bucket has moved away; our own store knows no archives."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b"<Error><Code>InvalidObjectState</Code><Message>not valid for its storage class</Message></Error>"
        self.send_response(HTTPStatus.FORBIDDEN)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.mark.parametrize("way", [ObjectStore, SmallObjects])
def test_an_archived_object_counts_as_missing(way: Callable[[StoreSettings], ObjectStore | SmallObjects]) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Archive) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        store = way(StoreSettings(endpoint=endpoint, bucket="b", access_key="a", secret_key="s", region="us-east-1"))
        with pytest.raises(ObjectMissing):
            store.get("a/b/audio")
        server.shutdown()
