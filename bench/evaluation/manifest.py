"""The clips of an evaluation: what is heard in them, as people wrote it down.

In: a folder with `manifest.json`, a list of clips that name their audio, text, speakers and words. Out: Clips.
Must not know what is measured on them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"


class BadManifest(Exception):
    """The folder is no evaluation set, or nothing of it was chosen; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenWords:
    """A word, or an utterance of one speaker, as the reference has it."""

    text: str
    start_s: float
    end_s: float
    speaker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A recording and its reference; what the reference does not say is None."""

    clip_id: str
    group: str
    language: str
    duration_s: float
    audio: Path
    text: str | None = None
    turns: Path | None = None
    words: tuple[SpokenWords, ...] = ()


def read_manifest(folder: Path) -> list[Clip]:
    """All clips of a folder; raises BadManifest."""
    file = folder / MANIFEST
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
        return [_clip(folder, entry) for entry in entries]
    except FileNotFoundError as error:
        raise BadManifest(f"There is no {error.filename}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BadManifest(f"{file} is no list of clips: {error!r}.") from error


def chosen(clips: Sequence[Clip], only: Sequence[str], limit: int | None) -> list[Clip]:
    """The clips whose id or group begins with one of `only` (all where it is empty), at most `limit` of them."""
    kept = [c for c in clips if not only or any(c.clip_id.startswith(o) or c.group.startswith(o) for o in only)]
    if not kept:
        raise BadManifest(f"No clip and no group begins with {' or '.join(only)}.")
    return kept[:limit]


def _clip(folder: Path, entry: dict[str, Any]) -> Clip:
    audio, turns, words = folder / entry["file"], entry.get("rttm"), entry.get("words")
    if not audio.is_file():
        raise FileNotFoundError(2, "missing", str(audio))
    return Clip(
        clip_id=entry["id"],
        group=entry.get("kind", ""),
        language=entry["lang"],
        duration_s=float(entry["duration"]),
        audio=audio,
        text=entry.get("text"),
        turns=folder / turns if turns else None,
        words=_words(folder / words) if words else (),
    )


def _words(file: Path) -> tuple[SpokenWords, ...]:
    return tuple(
        SpokenWords(text=w["word"], start_s=float(w["start"]), end_s=float(w["end"]), speaker=w["speaker"])
        for w in json.loads(file.read_text(encoding="utf-8"))
    )
