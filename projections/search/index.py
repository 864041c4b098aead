"""The search index: its names and its shape.

In: nothing. Out: names and the body that creates it. Readers use the alias; writers use each version's own, so that
the next version can be filled beside the live one and kept up to date like it, before it takes the readers' alias.
`expunge_deletes_allowed` is 0, so that what an erasure replaced leaves the index's files when the sweeper asks for it,
however little it is. Knows no engine.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any

ALIAS = "segments"
INDEX = "segments_v1"
_VERSION = "segments_v"
EVERY_VERSION = "segments_v*"


def index_of(version: int) -> str:
    """The index of a version."""
    return f"{_VERSION}{version}"


def writers_alias(version: int) -> str:
    """The name under which a version's index is written; it is gone with the index."""
    return f"{_VERSION}{version}_writers"


def version_of(index: str) -> int:
    """The version of an index; 1 for a name that is not ours."""
    number = index.removeprefix(_VERSION)
    return int(number) if number.isdigit() else 1


@cache
def index_body() -> dict[str, Any]:
    """Settings and mappings."""
    body: dict[str, Any] = json.loads((files("projections.search") / "index.json").read_text(encoding="utf-8"))
    return body
