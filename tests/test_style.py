"""The sizes and names that keep the code readable, for every module there is. Parameters are counted by ruff."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.crash_sites import sites, sources, unguarded

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


def test_every_outside_effect_stands_in_a_crash_point() -> None:
    assert [finding for path, text in sources().items() for finding in unguarded(path, text)] == []


@pytest.mark.parametrize(
    "effect",
    [
        "self._producer.send(out)",
        "self._producer.flush()",
        "await world.producer.send(out)",
        "await asyncio.to_thread(self._objects.put, key, data)",
        "world.objects.delete(keys)",
        "self._engine.write(ALIAS, documents)",
        "consumer.commit(offsets=offsets)",
        "conn.commit()",
        "conn.transaction()",
        "engine.run(chunks)",
        "with connection(dsn) as conn: pass",
        "async with borrowed(connections) as conn: await conn.execute(sql['note_nudge'])",
    ],
)
def test_an_effect_without_a_crash_point_is_found(effect: str) -> None:
    bare = f"async def act():\n    {effect}\n"
    assert len(unguarded("streams/new.py", bare)) == 1
    guarded = f"async def act():\n    with crash_point('new.effect'):\n        {effect}\n"
    assert unguarded("streams/new.py", guarded) == []
    assert sites({"effects/new.py": guarded}) == ["effects:new.effect"]


def test_a_function_made_inside_a_crash_point_does_not_count_as_guarded() -> None:
    text = "with crash_point('new.effect'):\n    def later():\n        store.put(key, data)\n"
    assert len(unguarded("streams/new.py", text)) == 1
