"""`python -m tests.hostile corpus|fuzz`: the long runs, and their figures.

In: what to run. Out: a table on standard output; status 1 when anything did harm.
"""

import argparse
import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from streams.chunker.sandbox import Decoders
from tests.hostile.corpus.bombs import DAY_S, HOUR_S, silent_flac, silent_opus
from tests.hostile.corpus.targets import Touched, watched
from tests.hostile.corpus.whole import MAX_AUDIO_S, allowed, corpus
from tests.hostile.decoding import Outcome, outcome
from tests.hostile.fuzzing import fuzzed

MAX_PEAK_BYTES = 300_000_000
_DAYS = ("a-day.flac", "a-day.opus")


async def _decoded(files: Mapping[str, bytes]) -> tuple[str, dict[str, Outcome]]:
    async with Decoders() as decoders:
        return decoders.sandbox, {name: await outcome(decoders, data, MAX_AUDIO_S) for name, data in files.items()}


def _bombs() -> dict[str, bytes]:
    """What takes minutes: days of silence in some kilobytes, of no stated length."""
    return {"a-day.flac": silent_flac(DAY_S, claimed_s=0), "a-day.opus": silent_opus(DAY_S, stated=False)}


def _table(sandbox: str, ends: Mapping[str, Outcome], touched: Touched) -> str:
    codes = Counter(end.code for end in ends.values())
    slowest = max((name for name in ends if name not in _DAYS), key=lambda name: ends[name].duration_s)
    largest = max(ends, key=lambda name: ends[name].peak_bytes)
    rows = [
        ("files", f"{len(ends)}"),
        ("ends", ", ".join(f"{code} {number}" for code, number in codes.most_common())),
        ("files of others read, addresses asked", f"{touched.reads}, {touched.connections}"),
        ("decoders that died", f"{codes['crashed']}"),
        ("most memory of a decoder", f"{ends[largest].peak_bytes / 1e6:.0f} MB ({largest})"),
        ("longest, apart from the two below", f"{ends[slowest].duration_s:.1f} s ({slowest})"),
        *((name, _bomb(ends[name])) for name in _DAYS),
        ("locked in by", sandbox),
    ]
    return "\n".join(("| measured | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)))


def _bomb(end: Outcome) -> str:
    cut_h = end.decoded_ms / HOUR_S / 1000
    return f"{end.code} after {end.duration_s:.0f} s, {cut_h:.1f} h cut, {end.peak_bytes / 1e6:.0f} MB"


def _corpus() -> int:
    with tempfile.TemporaryDirectory() as folder, watched(Path(folder)) as (targets, touched):
        files = corpus(targets)
        sandbox, ends = asyncio.run(_decoded({**files, **_bombs()}))
    print(_table(sandbox, ends, touched))
    wrong = [name for name in files if not allowed(name, ends[name].code, ends[name].decoded_ms)]
    wrong += [name for name, end in ends.items() if end.peak_bytes > MAX_PEAK_BYTES]
    print("\n".join(f"wrong: {name}: {ends[name]}" for name in wrong))
    return 1 if wrong or touched.reads or touched.connections else 0


def _fuzz(seed: int, minutes: float) -> int:
    findings = asyncio.run(fuzzed(seed, minutes * 60))
    ends = ", ".join(f"{code} {number}" for code, number in findings.ends.most_common())
    print(f"seed {seed}: {findings.ends.total()} mutations of {len(findings.seed_files)} files: {ends}")
    print(f"most memory {findings.peak_bytes / 1e6:.0f} MB, longest {findings.longest_s:.1f} s")
    print("\n".join(f"harm: {line}" for line in findings.harm) or "no harm")
    return 1 if findings.harm else 0


def main() -> int:
    """Runs one of the two."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile")
    parser.add_argument("what", choices=("corpus", "fuzz"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=5.0)
    given = parser.parse_args()
    return _corpus() if given.what == "corpus" else _fuzz(given.seed, given.minutes)


if __name__ == "__main__":
    sys.exit(main())
