"""Mutations through the real decoder processes, for a time or a number.

In: a seed of chance. Out: what was seen, and every mutation that did harm, to be made again from its number.
"""

import time
from collections import Counter
from dataclasses import dataclass, field

from streams.chunker.sandbox import Decoders
from tests.hostile.corpus.whole import CODES, DECODED
from tests.hostile.decoding import Outcome, outcome
from tests.hostile.mutation import mutated

MAX_AUDIO_S = 600
MAX_PEAK_BYTES = 300_000_000


@dataclass(slots=True, kw_only=True)
class Findings:
    """What a run saw; `harm` names seed file and number of each mutation that did any."""

    ends: Counter[str] = field(default_factory=Counter)
    seed_files: set[str] = field(default_factory=set)
    harm: list[str] = field(default_factory=list)
    peak_bytes: int = 0
    longest_s: float = 0.0

    def take(self, name: str, number: int, end: Outcome) -> None:
        """One more mutation."""
        self.ends[end.code] += 1
        self.seed_files.add(name)
        self.peak_bytes = max(self.peak_bytes, end.peak_bytes)
        self.longest_s = max(self.longest_s, end.duration_s)
        if end.code not in CODES | {DECODED} or end.peak_bytes > MAX_PEAK_BYTES:
            self.harm.append(f"{name} number {number}: {end.code} {end.message} {end.peak_bytes / 1e6:.0f} MB")


async def fuzzed(seed: int, seconds: float, first: int = 0) -> Findings:
    """Mutations from `first` on, until the time is over."""
    findings, number = Findings(), first
    deadline = time.monotonic() + seconds
    async with Decoders() as decoders:
        while time.monotonic() < deadline:
            name, data = mutated(seed, number)
            findings.take(name, number, await outcome(decoders, data, MAX_AUDIO_S))
            number += 1
    return findings
