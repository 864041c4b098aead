"""Installs what the project needs into `.venv`, with nothing but a Python that has venv.

In: the lock file. Out: an environment in which every file has the hash that was locked.
Run as a script, before anything is installed, so it imports only the standard library; what is installed already
and unchanged is left alone.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
VENV = CHECKOUT / ".venv"
BOOT = CHECKOUT / ".palimpsest" / "boot"
LOCK = CHECKOUT / "requirements.lock"
STAMP = VENV / ".installed"
UV = "uv>=0.9"
WANTED_PYTHON = (3, 11)
PLATFORM = "x86_64-manylinux_2_28"
LOCK_HEADER_COMMAND = "make lock"


class Unmet(Exception):
    """Something must be there first; the text says what and how to get it."""


def require_prerequisites(version: Sequence[int], modules: Sequence[str], platform: str, machine: str) -> None:
    """Raise Unmet with one sentence for the first thing that is missing."""
    if tuple(version[:2]) != WANTED_PYTHON:
        wanted, found = ".".join(map(str, WANTED_PYTHON)), ".".join(map(str, version[:2]))
        raise Unmet(
            f"Python {wanted} is needed and this is {found}: install python{wanted} (Debian 12 has it as python3), "
            f"or name one with `make PYTHON=/path/to/python{wanted}`."
        )
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise Unmet(f"Python's {module} module is missing: install it (Debian: apt install python3-venv).")
    if (platform, machine) != ("linux", "x86_64"):
        raise Unmet(f"Only Linux on x86-64 is supported by the locked packages; this is {platform} on {machine}.")


def fingerprint() -> str:
    """What the installed environment was made from."""
    digest = hashlib.sha256()
    for file in (LOCK, CHECKOUT / "pyproject.toml"):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def is_installed() -> bool:
    """Whether `.venv` was made from exactly this lock."""
    try:
        return STAMP.read_text() == fingerprint()
    except FileNotFoundError:
        return False


def find_uv() -> Path:
    """The uv of the machine, or one in a small environment of its own: Debian's Python takes no packages itself."""
    found = shutil.which("uv")
    if found is not None:
        return Path(found)
    ours = BOOT / "bin" / "uv"
    if not ours.exists():
        _say("installing uv")
        run([sys.executable, "-m", "venv", str(BOOT)])
        run([str(BOOT / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV])
    return ours


def install() -> None:
    """Make `.venv` hold the locked packages and, in place, the project itself."""
    uv = str(find_uv())
    begun = time.monotonic()
    if not (VENV / "bin" / "python").exists():
        run([uv, "venv", "--quiet", "--python", sys.executable, str(VENV)])
    _say("installing packages (8 GB with the CUDA libraries; the first time takes a minute or two)")
    into = [uv, "pip", "install", "--quiet", "--python", str(VENV / "bin" / "python")]
    run([*into, "--require-hashes", "--requirement", str(LOCK)])
    # The build backend is locked too; nothing is fetched here.
    run([*into, "--no-deps", "--no-build-isolation", "--editable", str(CHECKOUT)])
    STAMP.write_text(fingerprint())
    _say(f"installed in {time.monotonic() - begun:.0f} s")


def write_lock() -> None:
    """Resolve the newest versions that pyproject.toml allows; no registry's address goes into the file."""
    select = ["--all-extras", "--group", "dev", "--python-version", ".".join(map(str, WANTED_PYTHON))]
    form = [
        "--generate-hashes",
        "--no-emit-index-url",
        "--no-annotate",
        "--custom-compile-command",
        LOCK_HEADER_COMMAND,
    ]
    files = ["pyproject.toml", "--output-file", LOCK.name, "--quiet"]
    run([str(find_uv()), "pip", "compile", *select, "--python-platform", PLATFORM, *form, *files])


def run(command: Sequence[str]) -> None:
    """Run an installer; its own words say what went wrong."""
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Unmet(f"`{' '.join(command[:4])} …` failed; what it said is above.")


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


def main(arguments: Sequence[str]) -> int:
    try:
        require_prerequisites(sys.version_info[:3], ("venv", "ensurepip"), sys.platform, os.uname().machine)
        if "lock" in arguments:
            write_lock()
        elif not is_installed():
            install()
    except Unmet as exc:
        _say(f"error: {exc}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
