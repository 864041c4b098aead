"""A loop that stands still is ended; one that turns is left alone."""

import threading
import time

from streams.speech.watchdog import Watchdog

LIMIT_S = 0.2


def test_a_loop_that_stands_still_is_bitten() -> None:
    bitten = threading.Event()
    Watchdog(LIMIT_S, bitten.set).start()
    assert bitten.wait(10)


def test_a_loop_that_turns_is_left_alone() -> None:
    bitten = threading.Event()
    watchdog = Watchdog(LIMIT_S, bitten.set)
    watchdog.start()
    end = time.monotonic() + 4 * LIMIT_S
    while time.monotonic() < end:
        watchdog.beat()
        assert not bitten.wait(0.01)
    watchdog.close()
