"""Where commands go: a server's address and key for users, settings for operators.

In: arguments and the environment. Out: a `Server`, or `Settings`; the local stack where nothing else is named.
Must not know what is asked of the server. The local key is only ever sent to the local stack.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.errors import CommandError, Exit
from local.layout import layout_from, port_base_from
from local.ports import LOOPBACK, port_of
from runtime.settings import Settings, SettingsError

URL_SETTING = "PALIMPSEST_URL"
KEY_SETTING = "PALIMPSEST_KEY"
KEY_FILE_SETTING = "PALIMPSEST_KEY_FILE"
_NO_SERVER = (
    f"No server is known: start one here with `palimpsest up`, or name one with --server and --key "
    f"(or {URL_SETTING} and {KEY_SETTING})."
)
# Its presence says that the environment describes a whole installation, not this machine's stack.
_DEPLOYED_SETTING = "PALIMPSEST_KAFKA_BOOTSTRAP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A Palimpsest server and the key that opens it."""

    url: str
    key: str


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """The two options of every user command."""
    group = parser.add_argument_group("server")
    group.add_argument(
        "--server", metavar="URL", help=f"address of the server (else {URL_SETTING}, else the local stack)"
    )
    group.add_argument(
        "--key", metavar="pal_…", help=f"API key (else {KEY_SETTING} or {KEY_FILE_SETTING}, else the local stack's)"
    )


def server_from(arguments: argparse.Namespace, environment: Mapping[str, str]) -> Server:
    """The server that arguments or environment name, else the local stack; raises CommandError."""
    url = arguments.server or environment.get(URL_SETTING)
    key = arguments.key or environment.get(KEY_SETTING) or _key_from_file(environment)
    if url is None:
        return _local_server(environment, key)
    if not url.startswith(("http://", "https://")):
        raise CommandError(f"The server's address must begin with http:// or https://, not {url!r}.", Exit.USAGE)
    if not key:
        raise CommandError(f"No key for {url}: give --key or set {KEY_SETTING}.", Exit.DENIED)
    return Server(url=url.rstrip("/"), key=_sendable(key))


def _sendable(key: str) -> str:
    """A key that fits into a header; one that does not is mistyped."""
    bare = key.strip()
    if not bare or not (bare.isascii() and bare.isprintable()):
        raise CommandError("The key holds characters that no key has.", Exit.DENIED)
    return bare


def _key_from_file(environment: Mapping[str, str]) -> str | None:
    path = environment.get(KEY_FILE_SETTING)
    if not path:
        return None
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{KEY_FILE_SETTING}: {error}.", Exit.USAGE) from error


def _local_server(environment: Mapping[str, str], key: str | None) -> Server:
    file = layout_from(environment).local_key
    if not file.exists():
        raise CommandError(_NO_SERVER, Exit.UNREACHABLE)
    url = f"http://{LOOPBACK}:{port_of('api', port_base_from(environment))}"
    return Server(url=url, key=_sendable(key or file.read_text(encoding="utf-8")))


def operator_settings(environment: Mapping[str, str]) -> Settings:
    """Settings of the installation the environment describes, else of the local stack; raises CommandError."""
    try:
        return Settings.read(environment if _DEPLOYED_SETTING in environment else _local_settings(environment))
    except SettingsError as error:
        raise CommandError(f"{error}.", Exit.USAGE) from error


def _local_settings(environment: Mapping[str, str]) -> Mapping[str, str]:
    # The stack's modules load its engines' libraries, which no user command needs.
    from local.stack import Stack

    layout = layout_from(environment)
    if not layout.secrets.exists():
        raise CommandError(
            f"No installation is known: start the local stack with `palimpsest up`, or set {_DEPLOYED_SETTING} and "
            "the other settings of docs/settings.md.",
            Exit.UNREACHABLE,
        )
    return Stack(layout.home, port_base_from(environment)).shared_settings()
