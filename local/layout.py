"""Where the local stack keeps its files, and the two settings that move it.

In: the environment. Out: a `Layout` of paths and the port base. Must not know what runs in those folders.

What is installed (engine archives, models) belongs to the checkout and is shared by every stack that runs
from it; what a stack writes (data, logs, pids) lies under its own home, so a test stack runs beside a demo.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.errors import BadSetting
from local.ports import DEFAULT_PORT_BASE, HIGHEST_PORT_BASE, LOWEST_PORT_BASE

CHECKOUT = Path(__file__).resolve().parent.parent
HOME_SETTING = "PALIMPSEST_HOME"
PORT_BASE_SETTING = "PALIMPSEST_PORT_BASE"

# sockaddr_un.sun_path holds 108 bytes with its closing zero; supervisord adds ".<pid>" while it binds.
UNIX_SOCKET_PATH_MAX_BYTES = 95


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Every path of one stack."""

    home: Path
    checkout: Path = CHECKOUT

    @property
    def installed(self) -> Path:
        return self.checkout / ".palimpsest"

    @property
    def engines(self) -> Path:
        return self.installed / "engines"

    @property
    def models(self) -> Path:
        return self.installed / "models"

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def run(self) -> Path:
        return self.home / "run"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def temporary(self) -> Path:
        return self.home / "tmp"

    @property
    def supervisor_config(self) -> Path:
        return self.run / "supervisord.conf"

    @property
    def supervisor_log(self) -> Path:
        return self.logs / "supervisord.log"

    @property
    def supervisor_record(self) -> Path:
        return self.run / "supervisor.json"

    @property
    def supervisor_socket(self) -> Path:
        """The control socket; in the temporary folder where the home's path is too long for a socket name."""
        path = self.run / "supervisor.sock"
        if len(bytes(path)) <= UNIX_SOCKET_PATH_MAX_BYTES:
            return path
        name = hashlib.sha256(bytes(self.home)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"palimpsest-{name}.sock"

    @property
    def secrets(self) -> Path:
        return self.data / "secrets.json"

    @property
    def local_key(self) -> Path:
        return self.data / "local-key"

    def log_of(self, name: str) -> Path:
        return self.logs / f"{name}.log"


def layout_from(environment: Mapping[str, str]) -> Layout:
    """The layout that PALIMPSEST_HOME names, or `.palimpsest` of this checkout."""
    given = environment.get(HOME_SETTING, "")
    home = Path(given).expanduser().resolve() if given else CHECKOUT / ".palimpsest"
    return Layout(home=home)


def port_base_from(environment: Mapping[str, str]) -> int:
    """The number that PALIMPSEST_PORT_BASE gives; BadSetting if it leaves no room for the port table."""
    given = environment.get(PORT_BASE_SETTING, "")
    if not given:
        return DEFAULT_PORT_BASE
    if given.isdecimal() and LOWEST_PORT_BASE <= int(given) <= HIGHEST_PORT_BASE:
        return int(given)
    raise BadSetting(f"{PORT_BASE_SETTING}={given} must be a number from {LOWEST_PORT_BASE} to {HIGHEST_PORT_BASE}.")
