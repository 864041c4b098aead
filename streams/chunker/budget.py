"""How much work a file may be, in processor time: some to open it, more with every second of sound it gives.

In: how far the decoding is. Out: signs that the processor is at work, for whoever must tell a long piece of work from
one that waits for ever, and one call when the file has used up what it may. The libraries decode outside of Python's
lock, so that a thread can notice what they cannot be told. Knows no file.
"""

import os
import resource
import threading
import time
from collections.abc import Callable

OPEN_CPU_S = 5
CPU_S = 8
DECODED_S_PER_CPU_S = 60
# Beyond this the kernel ends the process: for work during which no thread gets a turn.
_GRACE_CPU_S = 5
_LOOK_EVERY_S = 0.2
SIGN_EVERY_S = 0.5
# Less than that in half a second is a process that waits.
_AT_WORK_CPU_S = 0.001
_STACK_BYTES = 262_144


class Budget:
    """The work allowed for one file in this process."""

    def __init__(self, max_audio_s: int, working: Callable[[], None], spent: Callable[[], None]) -> None:
        """Calls `working` now and then while there is work, at last `spent`, from a thread; then ends the process."""
        self._most_s = CPU_S + max_audio_s // DECODED_S_PER_CPU_S
        self._working = working
        self._spent = spent
        self._allowed_s = 0.0
        self._allow(OPEN_CPU_S)
        threading.stack_size(_STACK_BYTES)
        threading.Thread(target=self._watch, name="budget", daemon=True).start()

    def decoded(self, seconds: int) -> None:
        """The file is open, and has given so much sound."""
        self._allow(min(CPU_S + seconds // DECODED_S_PER_CPU_S, self._most_s))

    def _allow(self, cpu_s: int) -> None:
        self._allowed_s = cpu_s
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_s + _GRACE_CPU_S, self._most_s + _GRACE_CPU_S))

    def _watch(self) -> None:
        try:
            signed_at, signed_cpu_s = time.monotonic(), _cpu_s_of_others()
            while time.process_time() < self._allowed_s:
                time.sleep(_LOOK_EVERY_S)
                if time.monotonic() - signed_at >= SIGN_EVERY_S:
                    signed_at, before_s, signed_cpu_s = time.monotonic(), signed_cpu_s, _cpu_s_of_others()
                    if signed_cpu_s - before_s >= _AT_WORK_CPU_S:
                        self._working()
            self._spent()
        finally:
            os._exit(0)


def _cpu_s_of_others() -> float:
    """What all threads but this one have used."""
    return time.process_time() - time.thread_time()
