"""The sizes and names that keep the code readable, for every module there is. Parameters are counted by ruff."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("schemas", "runtime", "streams", "projections", "effects", "api", "cli", "local", "bench", "tests")
MODULE_LINES = 400
FUNCTION_LINES = 60
DRAWERS = {"utils", "helpers", "common", "base", "manager", "lib"}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def _modules() -> dict[str, str]:
    """Path under the root → text."""
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return {str(path.relative_to(ROOT)): path.read_text() for path in paths}


def _functions(text: str) -> Iterator[Function]:
    return (node for node in ast.walk(ast.parse(text)) if isinstance(node, Function))


def test_modules_are_short() -> None:
    assert not {name: lines for name, text in _modules().items() if (lines := text.count("\n")) > MODULE_LINES}


def test_functions_are_short() -> None:
    long = []
    for name, text in _modules().items():
        for function in _functions(text):
            lines = (function.end_lineno or function.lineno) - function.lineno + 1
            if lines > FUNCTION_LINES:
                long.append(f"{name}:{function.name} has {lines} lines")
    assert not long


def test_modules_say_what_they_are() -> None:
    assert not [name for name, text in _modules().items() if text.strip() and not ast.get_docstring(ast.parse(text))]


def test_no_drawers() -> None:
    assert not [name for name in _modules() if DRAWERS & set(Path(name).with_suffix("").parts)]


def test_nothing_is_left_unfinished() -> None:
    own = str(Path(__file__).relative_to(ROOT))
    assert not [name for name, text in _modules().items() if name != own and UNFINISHED.search(text)]
