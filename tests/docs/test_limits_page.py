"""docs/limits.md names limits that exist, with the values that they have."""

import importlib
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from runtime.settings import Limits, Settings, Speech

PAGE = (Path(__file__).parents[2] / "docs" / "limits.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| ([^|]+) \| ([\d,.]+)[^|]* \| `([\w.]+)` \| ([^|]+) \|$", re.MULTILINE)
ROWS = ROW.findall(PAGE)
LEAST_ROWS = 60
NAMED = {"PALIMPSEST_CHUNK_TRIES": "max_tries"}
# These bound something, and their names say so.
BOUNDING = re.compile(r"^(MAX_\w+|\w+_LIMIT_S|\w+_AT_ONCE|\w+_PER_(JOB|TENANT|RECORD))$", re.MULTILINE)
PACKAGES = ("api", "runtime", "schemas", "streams", "projections", "effects")
# What these bound is what a model is given and says.
SHAPING = "streams.speech.engines"
BARE = {name: "x" for name in ("REGISTRY_URL", "POSTGRES_DSN", "OPENSEARCH_URL", "KAFKA_BOOTSTRAP")} | {
    name: "x" for name in ("S3_ENDPOINT", "S3_ACCESS_KEY", "S3_SECRET_KEY")
}


def _in_code(where: str) -> Any:
    if where.startswith("PALIMPSEST_"):
        settings = Settings.read({f"PALIMPSEST_{name}": value for name, value in BARE.items()})
        name = NAMED.get(where, where.removeprefix("PALIMPSEST_").lower())
        record: Limits | Speech = settings.limits if name in {f.name for f in fields(Limits)} else settings.speech
        return getattr(record, name)
    module, _, name = where.rpartition(".")
    return getattr(importlib.import_module(module), name)


def test_the_page_is_read() -> None:
    assert len(ROWS) >= LEAST_ROWS
    assert len(ROWS) == len(re.findall(r"^\| (?!what|---)", PAGE, re.MULTILINE))


@pytest.mark.parametrize(("what", "limit", "where", "beyond"), ROWS, ids=[row[2] for row in ROWS])
def test_a_limit_is_what_the_page_says(what: str, limit: str, where: str, beyond: str) -> None:
    assert float(limit.replace(",", "")) == _in_code(where), what
    assert beyond.strip()


def test_no_bound_is_left_out() -> None:
    root = Path(__file__).parents[2]
    named = {row[2] for row in ROWS}
    found = set()
    for file in (file for package in PACKAGES for file in (root / package).rglob("*.py")):
        module = ".".join(file.relative_to(root).with_suffix("").parts)
        for name in re.findall(r"^([A-Z][A-Z_]+) = [\d_.]+", file.read_text(), re.MULTILINE):
            if BOUNDING.match(name) and not module.startswith(SHAPING):
                found.add(f"{module}.{name}")
    assert found <= named
