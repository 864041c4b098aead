"""What clients were told: one line for each request that has a definite end, and for each that never got one.

In: outcomes from the client threads. Out: `told.jsonl`, which the checker compares with the log.
"""

import json
import threading
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One request of a client. `outcome`: done, pending (202), refused, gone, or unknown.

    `duration_s` is how long an uploaded recording lasts, 0 for what is no sound.
    """

    operation: str
    tenant: str
    number: int
    job_id: str
    outcome: str
    status: int = 0
    code: str = ""
    attempts: int = 1
    sha256: str = ""
    mark: str = ""
    request_id: str = ""
    key: str = ""
    script: str = ""
    duration_s: float = 0.0


class Notebook:
    """Collects and writes; any thread may use it."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / "told.jsonl").open("w")
        self._lock = threading.Lock()
        self.lines: list[Told] = []

    def write(self, told: Told) -> None:
        """Remembers one outcome."""
        with self._lock:
            self.lines.append(told)
            print(json.dumps(asdict(told)), file=self._file, flush=True)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
