"""Where model files lie, and what they are: paths and hashes.

In: the speech settings. Out: paths that exist, or EngineUnavailable with a sentence; SHA-256 of files.
Must not import a model's library.
"""

import hashlib
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from runtime.settings import Speech
from streams.speech.engines.protocol import EngineUnavailable

BUNDLED = "bundled"
BUNDLED_WHISPER = "whisper-base"
READ_BYTES = 1 << 20


def sha256_of(*paths: Path) -> str:
    """SHA-256 over files one after the other, lower-case hexadecimal."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(READ_BYTES):
                digest.update(block)
    return digest.hexdigest()


def versions(*packages: str) -> str:
    """`name version` of each package, as one line."""
    return ", ".join(f"{package} {version(package)}" for package in packages)


def whisper_folder(settings: Speech) -> Path | None:
    """The folder of the Whisper model, or None when the setting is the name of a model on the hub."""
    if settings.model == BUNDLED:
        return _holding_model(
            Path(settings.model_dir) / BUNDLED_WHISPER,
            "The bundled model is put there when the stack is set up.",
        )
    folder = Path(settings.model)
    if folder.is_dir():
        return _holding_model(folder, "A model folder is in CTranslate2's format.")
    if folder.is_absolute():
        raise EngineUnavailable(f"There is no model folder {folder}.")
    return None


def packaged_file(package: str, relative: str) -> Path:
    """A file inside an installed package, found without importing the package."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise EngineUnavailable(f"The package {package}, which carries a model, is not installed.")
    path = Path(spec.submodule_search_locations[0]) / relative
    if not path.is_file():
        raise EngineUnavailable(f"The package {package} holds no {relative}.")
    return path


def mounted_or_packaged(mounted: Path, package: str, relative: str) -> Path:
    """`mounted` when it is there, else the copy in a package."""
    return mounted if mounted.is_file() else packaged_file(package, relative)


def _holding_model(folder: Path, hint: str) -> Path:
    if not (folder / "model.bin").is_file():
        raise EngineUnavailable(f"There is no model.bin in {folder}. {hint}")
    return folder
