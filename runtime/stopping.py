"""How a worker is asked to end.

In: SIGTERM, or Ctrl-C. Out: an event that its loop looks at, and an end even where a call never comes back to the loop:
of an engine that is away or hangs. Knows no loop.
"""

import os
import signal
import threading
import time

from runtime.telemetry import logger

# More than any process gives to what it has in hand, and less than the 30 s after which it would be killed.
STOP_LIMIT_S = 27.0

log = logger(__name__)


def stop_signal(limit_s: float = STOP_LIMIT_S) -> threading.Event:
    """An event that SIGTERM and SIGINT set from now on; to be called from the main thread."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    end_after(stop, limit_s)
    return stop


def end_after(stop: threading.Event, limit_s: float) -> None:
    """Ends the process when it was asked to and hangs so long after: no worse than a kill, which may come any time."""
    threading.Thread(target=_end, args=(stop, limit_s), name="stopping", daemon=True).start()


def _end(stop: threading.Event, limit_s: float) -> None:
    stop.wait()
    time.sleep(limit_s)
    log.warning("what hangs is left behind", action="stop.hanging")
    os._exit(0)
