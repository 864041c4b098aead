"""What the model libraries are told before their first import.

In: nothing. Out: this process's environment and log levels, where nobody set them before.
"""

import logging
import os
from collections.abc import Mapping

ENVIRONMENT: Mapping[str, str] = {
    # Threads that wait for work sleep. By default they spin, and two model processes on one machine then take each
    # other's cores: a batch that needs 4 s of processor time took 34 s of it, and 85 s on the clock.
    "OMP_WAIT_POLICY": "PASSIVE",
    "CT2_CUDA_ALLOCATOR": "cub_caching",  # bounds what CTranslate2 keeps of the device's memory
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
CHATTY_LOGGERS = ("faster_whisper", "whisperx", "transformers", "torio", "numba")


def prepare() -> None:
    """Comes before the first import of torch or CTranslate2; later it changes only the log levels."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for name in CHATTY_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
