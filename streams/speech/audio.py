"""The audio of waiting chunks, fetched and decoded before the model wants it.

In: the address of a chunk's object. Out: its samples, or why there are none.
A missing or damaged object is an answer, not an error; a store that is away is waited for, then raises StoreAway.
Knows no Kafka and no model.
"""

import hashlib
import io
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import soundfile
from numpy.typing import NDArray

from runtime.errors import ObjectMissing, ObjectWithheld, Unavailable
from runtime.faults import crash_point
from runtime.telemetry import logger
from schemas.values import StoredObject
from streams.speech.engines.protocol import SAMPLE_RATE_HZ

THREADS = 4
AWAY_LIMIT_S = 120.0
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0

log = logger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """A chunk's audio with its margins: 16 kHz mono, 16 bits."""

    pcm: NDArray[np.int16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """The store has no such object, or does not hand it out though it hands out others."""

    withheld: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Damaged:
    """The object is not what was stored, or not what a chunk is."""

    why: str


Audio = Samples | Missing | Damaged


class StoreAway(Unavailable):
    """The object store did not give or take an object for longer than we wait."""


class Store(Protocol):
    """What this module needs of the object store."""

    def get(self, key: str) -> bytes:
        """The object; raises ObjectMissing or Unavailable."""

    def put(self, key: str, data: bytes) -> None:
        """Stores an object; raises Unavailable."""


class AudioFetcher:
    """Fetches and stores in a few threads; `done` is called from them whenever something is there."""

    def __init__(self, store: Store, done: Callable[[], None]) -> None:
        self._store = store
        self._done = done
        self._stopping = threading.Event()
        self._fetching = ThreadPoolExecutor(THREADS, thread_name_prefix="audio")
        # Apart: the loop waits for these, and a store that hangs may have many fetches wait for their turn.
        self._keeping = ThreadPoolExecutor(THREADS, thread_name_prefix="evidence")

    def fetch(self, obj: StoredObject) -> Future[Audio]:
        """The audio of an object, soon."""
        return self._submit(self._fetching, lambda: self._fetch(obj))

    def keep(self, key: str, data: bytes) -> Future[None]:
        """Stores an object, soon."""
        return self._submit(self._keeping, lambda: self._patiently(lambda: self._put(key, data)))

    def close(self) -> None:
        """Stops fetching; what is not there yet never will be."""
        self._stopping.set()
        for pool in (self._fetching, self._keeping):
            pool.shutdown(wait=False, cancel_futures=True)

    def _fetch(self, obj: StoredObject) -> Audio:
        try:
            data = self._patiently(lambda: self._get(obj.key))
        except ObjectMissing as error:
            log.warning("a chunk's audio cannot be had", action="audio.missing", error=str(error))
            return Missing(withheld=isinstance(error, ObjectWithheld))
        return read(data, obj.sha256)

    def _get(self, key: str) -> bytes:
        with crash_point("chunk.get"):
            return self._store.get(key)

    def _put(self, key: str, data: bytes) -> None:
        with crash_point("evidence.put"):
            self._store.put(key, data)

    def _submit(self, pool: ThreadPoolExecutor, work: Callable[[], _T]) -> Future[_T]:
        future = pool.submit(work)
        future.add_done_callback(lambda _: self._done())
        return future

    def _patiently(self, call: Callable[[], _T]) -> _T:
        """What the call gives, tried again while the store is away; raises StoreAway."""
        deadline, pause_s = time.monotonic() + AWAY_LIMIT_S, FIRST_PAUSE_S
        while True:
            try:
                return call()
            except Unavailable as error:
                if time.monotonic() > deadline or self._stopping.wait(pause_s):
                    raise StoreAway(str(error)) from error
                log.warning("the object store is away", action="objects.wait", error=str(error))
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def read(data: bytes, sha256: str) -> Audio:
    """The samples in a chunk's bytes, which must have this hash."""
    if hashlib.sha256(data).hexdigest() != sha256:
        return Damaged(why="the hash is another")
    try:
        pcm, rate_hz = soundfile.read(io.BytesIO(data), dtype="int16")
    except soundfile.LibsndfileError as error:
        return Damaged(why=str(error))
    if rate_hz != SAMPLE_RATE_HZ or pcm.ndim != 1:
        return Damaged(why=f"{rate_hz} Hz, {pcm.ndim} dimensions")
    return Samples(pcm=pcm)
