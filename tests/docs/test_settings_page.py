"""docs/settings.md names every setting there is, with its default, and none that there is not."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.connection import KEY_FILE_SETTING, KEY_SETTING, URL_SETTING
from local.layout import HOME_SETTING, PORT_BASE_SETTING
from local.ports import DEFAULT_PORT_BASE
from local.settings import CHOICES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(\w+)` \| (.*?) \|", re.MULTILINE)
READERS = {"text", "number", "choice"}
# Set by the supervisor for its children, read by nobody but the stack itself.
INTERNAL = {"PALIMPSEST_STACK"}


def _read_by_processes() -> Iterator[tuple[str, object]]:
    """Names and defaults that runtime/settings.py asks for."""
    tree = ast.parse((ROOT / "runtime" / "settings.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in READERS:
            name, *rest = [
                ast.literal_eval(a) if isinstance(a, ast.Constant | ast.UnaryOp) else None for a in node.args[:2]
            ]
            if isinstance(name, str):
                yield f"PALIMPSEST_{name}", rest[0] if rest else None


SETTINGS = dict(_read_by_processes())
DOCUMENTED = dict(ROW.findall(PAGE))
ELSEWHERE = {
    HOME_SETTING: None,
    PORT_BASE_SETTING: DEFAULT_PORT_BASE,
    URL_SETTING: None,
    KEY_SETTING: None,
    KEY_FILE_SETTING: None,
    "NO_COLOR": None,
}


def test_every_setting_is_documented_and_nothing_else() -> None:
    assert set(DOCUMENTED) == set(SETTINGS) | set(ELSEWHERE)


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_the_default_is_the_one_in_code(name: str) -> None:
    default = SETTINGS[name]
    words = "must be set" if default is None else "empty" if default == "" else f"`{default}`"
    assert DOCUMENTED[name] == words


def test_the_ports_default_is_the_one_in_code() -> None:
    assert DOCUMENTED[PORT_BASE_SETTING] == f"`{DEFAULT_PORT_BASE}`"


def test_what_up_passes_on_is_named() -> None:
    paragraph = next(line for line in PAGE.splitlines() if line.startswith("`palimpsest up` passes on"))
    assert set(re.findall(r"`(PALIMPSEST_\w+)`", paragraph)) == set(CHOICES)


@pytest.mark.parametrize("package", ["runtime", "streams", "projections", "effects", "api", "cli", "local", "bench"])
def test_no_code_names_a_setting_that_is_not_there(package: str) -> None:
    named = {
        name
        for path in (ROOT / package).rglob("*.py")
        for name in re.findall(r"\bPALIMPSEST_[A-Z0-9_]*[A-Z0-9]\b", path.read_text(encoding="utf-8"))
    }
    assert named - set(DOCUMENTED) - INTERNAL - {"PALIMPSEST_X", "PALIMPSEST_X_FILE"} == set()
