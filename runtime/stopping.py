"""How a worker is asked to end.

In: SIGTERM, or Ctrl-C. Out: an event that its loop looks at. Knows no loop.
"""

import signal
import threading


def stop_signal() -> threading.Event:
    """An event that SIGTERM and SIGINT set from now on; to be called from the main thread."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
