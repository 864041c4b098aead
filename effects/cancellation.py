"""A cancellation that is not lost.

In: the running task. Out: CancelledError where its cancellation was asked for and swallowed: Python 3.11's `wait_for`,
with which the pool waits for a connection, does that when the connection comes in the same instant. Loops without end
call this.
"""

import asyncio


def heed_cancellation() -> None:
    """Raises CancelledError in a task that was told to end and has not."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
