"""The engines, as a table of contents: name in the settings → where the class is.

In: the speech settings. Out: an engine that is not loaded yet.
Importing this package imports no model library; only `load` of a real engine does.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

from runtime.settings import Speech
from schemas.values import Task
from streams.speech.engines.protocol import AsrEngine, DiarizationEngine, EngineUnavailable

ASR_ENGINES: Mapping[str, str] = {
    "whisperx": "streams.speech.engines.whisperx:WhisperXEngine",
    "faster-whisper": "streams.speech.engines.faster_whisper:FasterWhisperEngine",
    "stub": "streams.speech.engines.stub:StubAsr",
}
DIARIZATION_ENGINES: Mapping[str, str] = {
    "pyannote": "streams.speech.engines.pyannote:PyannoteEngine",
    "stub": "streams.speech.engines.stub:StubDiarization",
}


def engine_name(task: Task, speech: Speech) -> str:
    """The engine the settings choose for a task; raises EngineUnavailable for a name that is not in the table."""
    name, table = _choice(task, speech)
    if name not in table:
        raise EngineUnavailable(f"there is no {task} engine {name!r}; there are {', '.join(sorted(table))}")
    return name


def asr_engine(speech: Speech) -> AsrEngine:
    """The recogniser the settings choose, not loaded."""
    return cast(AsrEngine, _made(ASR_ENGINES[engine_name(Task.ASR, speech)], speech))


def diarization_engine(speech: Speech) -> DiarizationEngine:
    """The diarizer the settings choose, not loaded."""
    return cast(DiarizationEngine, _made(DIARIZATION_ENGINES[engine_name(Task.DIARIZATION, speech)], speech))


def _choice(task: Task, speech: Speech) -> tuple[str, Mapping[str, str]]:
    if task is Task.ASR:
        return speech.asr_engine, ASR_ENGINES
    return speech.diarization_engine, DIARIZATION_ENGINES


def _made(path: str, speech: Speech) -> Any:
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)(speech)
