"""The run: each clip through each engine, one after the other, so that all meet the same machine.

In: clips and engines. Out: scores, and the document that is kept. Must not know what an engine is.
"""

import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from bench.evaluation import forced_alignment
from bench.evaluation.errors_of_times import TimedWord
from bench.evaluation.hypothesis import Hypothesis
from bench.evaluation.manifest import Clip
from bench.evaluation.scores import Score, score
from bench.evaluation.sound import plain_samples
from bench.evaluation.summary import Row

# Where one voice at a time reads what the reference says, a forced alignment can be relied on.
TIMED_GROUPS = frozenset({"read", "speech", "phone call", "long-form TTS"})
PACKAGES = ("whisperx", "faster-whisper", "ctranslate2", "torch", "pyannote-audio", "pyannote-metrics", "pocketsphinx")


class Measured(Protocol):
    """An engine that is ready."""

    name: str
    models: dict[str, str]

    def run(self, audio: Path) -> Hypothesis:
        """The transcript of a file."""


def measure(clips: Sequence[Clip], engines: Sequence[Measured], say: Callable[[str], None]) -> list[Score]:
    """Scores, engine by engine, clips in order; engines take turns in going first. Ctrl-C keeps what is measured."""
    found: dict[str, list[Score]] = {engine.name: [] for engine in engines}
    for number, clip in enumerate(clips):
        timed = reference_times(clip)
        first = number % len(engines)
        try:
            heard = {e.name: e.run(clip.audio) for e in (*engines[first:], *engines[:first])}
        except KeyboardInterrupt:
            say(f"stopped at {clip.clip_id}")
            break
        for name, scores in found.items():
            scores.append(score(name, clip, heard[name], timed))
        say(f"{number + 1}/{len(clips)} {clip.clip_id}: " + ", ".join(_line(scores[-1]) for scores in found.values()))
    return [one for scores in found.values() for one in scores]


def reference_times(clip: Clip) -> list[TimedWord]:
    """When the clip's words begin; nothing where the aligner does not know the language."""
    if clip.language != forced_alignment.LANGUAGE or clip.text is None or clip.group not in TIMED_GROUPS:
        return []
    return forced_alignment.align(plain_samples(clip.audio), clip.text)


def _line(score: Score) -> str:
    wall = sum(stage.wall_s for stage in score.stages.values())
    words = f"{score.words.errors}/{score.words.words} words wrong, " if score.blocks is not None else ""
    return f"{score.engine} {words}{wall:.1f} s"


def document(
    scores: Sequence[Score], rows: Sequence[Row], engines: Sequence[Measured], now: datetime
) -> dict[str, Any]:
    """Everything worth keeping of a run."""
    return {
        "measured_at": now.isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": {package: version(package) for package in PACKAGES},
        "models": {engine.name: engine.models for engine in engines},
        "rows": [asdict(row) for row in rows],
        "scores": [_kept(score) for score in scores],
    }


def machine() -> Mapping[str, str | int | float]:
    """What it was measured on."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[2], 2),
    }


def _kept(score: Score) -> dict[str, Any]:
    kept = asdict(score)
    kept["blocks"] = None if score.blocks is None else asdict(score.words)
    kept["stages"] = {name: [round(t.wall_s, 2), round(t.processor_s, 2)] for name, t in score.stages.items()}
    # The words of a group are counted in its row; a thousand pairs a clip would be most of the file.
    del kept["judged"]
    return kept


def write(kept: Mapping[str, Any], table: str, folder: Path, name: str) -> Path:
    """Both files; the path of the table."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(kept, ensure_ascii=False) + "\n", encoding="utf-8")
    target = folder / f"{name}.md"
    target.write_text(table, encoding="utf-8")
    return target
