"""When an upload is refused of which only the head was sent, counted from the beginning of the outage."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from bench.load import EARLY_S
from bench.outages import NOTICE_S, refused_early
from local.ports import LOOPBACK

BODY = b'{"code": "unavailable"}'
REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


@pytest.fixture
def hears_the_second() -> Iterator[str]:
    """Address of a server that says nothing to the first who comes and refuses the next."""
    with socket.create_server((LOOPBACK, 0)) as listener:

        def serve() -> None:
            with listener.accept()[0]:
                second, _ = listener.accept()
                with second:
                    second.recv(65_536)
                    second.sendall(REFUSAL)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        thread.join()


def test_probes_that_hear_nothing_count(hears_the_second: str) -> None:
    faults: list[str] = []
    after_s = refused_early(hears_the_second, "key", time.monotonic(), faults)
    assert after_s is not None and EARLY_S <= after_s < NOTICE_S
    assert faults == []


def test_an_outage_that_began_long_ago_was_not_noticed_in_time() -> None:
    faults: list[str] = []
    assert refused_early(f"http://{LOOPBACK}:9", "key", time.monotonic() - NOTICE_S, faults) is None
    assert faults == ["the body of an upload was waited for that could not be promised"]
