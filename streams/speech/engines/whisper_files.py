"""A Whisper model in CTranslate2's format: where it lies, what it is called, and how it can be computed here.

In: the speech settings. Out: a folder, a name, a compute type, or EngineUnavailable with a sentence.
Imports the libraries only when asked.
"""

from pathlib import Path

from runtime.settings import Speech
from streams.speech.engines import model_files
from streams.speech.engines.protocol import EngineUnavailable

DEFAULT_COMPUTE_TYPES = {"cpu": "int8", "cuda": "float16"}


def folder(settings: Speech) -> Path:
    """The model's folder, downloaded from the hub where the setting names one there."""
    return model_files.whisper_folder(settings) or _from_hub(settings.model)


def compute_type(settings: Speech) -> str:
    """The arithmetic asked for; raises EngineUnavailable when this device does not have it, or is not there."""
    import ctranslate2

    if settings.device == "cuda" and ctranslate2.get_cuda_device_count() == 0:
        raise EngineUnavailable("The device is set to cuda, and there is no CUDA device.")
    if settings.compute_type == "default":
        return DEFAULT_COMPUTE_TYPES[settings.device]
    supported = ctranslate2.get_supported_compute_types(settings.device)
    if settings.compute_type not in supported:
        raise EngineUnavailable(
            f"The compute type {settings.compute_type!r} does not run on this {settings.device}; "
            f"{', '.join(sorted(supported))} do."
        )
    return settings.compute_type


def name(settings: Speech, folder: Path) -> str:
    """The model as an event names it: never a path, which says something only on this machine."""
    if settings.model == model_files.BUNDLED or Path(settings.model).is_dir():
        return folder.name
    return settings.model


def _from_hub(name: str) -> Path:
    """The folder a model of the hub was downloaded to, now or earlier."""
    from faster_whisper import download_model

    try:
        return Path(download_model(name))
    except Exception as error:  # the hub's client raises many kinds: unknown name, no network, no permission
        raise EngineUnavailable(f"The model {name!r} is no folder, and the hub does not give it: {error}") from error
